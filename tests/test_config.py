"""Settings: defaults, file, options, and every error in one line."""

from __future__ import annotations

from dataclasses import fields
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from blfd.config import Config, ConfigError, load
from blfd.core.values import Settings
from blfd.transport.addresses import ListenAddress

DOCS = Path(__file__).parents[1] / "docs" / "configuration.md"


def test_defaults() -> None:
    assert load(None) == Config()
    assert [str(listen) for listen in Config().listen] == ["udp:0.0.0.0:5060", "tcp:0.0.0.0:5060"]


def test_a_file_and_options_over_it(tmp_path: Path) -> None:
    path = tmp_path / "blfd.toml"
    path.write_text(
        'database = "x.db"\nlisten = ["udp:127.0.0.1:5070"]\ntrust = ["10.0.0.0/8"]\n'
        '[sip]\nno_answer_timeout = 5\ndigest_algorithms = ["MD5"]\n'
    )
    config = load(path)
    assert config.database == Path("x.db")
    assert config.listen == (ListenAddress("udp", "127.0.0.1", 5070),)
    assert config.sip.trust == (IPv4Network("10.0.0.0/8"),)
    assert (config.sip.no_answer_timeout, config.sip.digest_algorithms) == (5, ("MD5",))
    over = load(path, database=Path("y.db"), listen=["tcp:127.0.0.1:5080"], trust=["192.0.2.1"])
    assert (over.database, str(over.listen[0])) == (Path("y.db"), "tcp:127.0.0.1:5080")
    assert over.sip.trust == (IPv4Network("192.0.2.1/32"),)
    assert (config.pnp, load(path, pnp=True).pnp) == (None, ListenAddress("udp", "224.0.1.75", 5060))
    path.write_text('pnp = "224.0.1.75:5070"')
    assert load(path).pnp == ListenAddress("udp", "224.0.1.75", 5070)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("listn = []", "did you mean listen"),
        ("[sip]\nno_anser_timeout = 1", "did you mean no_answer_timeout"),
        ("[sip]\nzzz = 1", "known are"),
        ("[sip]\nsilence = 'long'", "whole number"),
        ("[sip]\nsilence = -1", "whole number"),
        ("[sip]\nsilence = true", "whole number"),
        ("[sip]\ndigest_algorithms = []", "SHA-256, MD5"),
        ("[sip]\ndigest_algorithms = ['SHA-1']", "SHA-256, MD5"),
        ("sip = 3", r"\[sip\]"),
        ("listen = 'udp:1.2.3.4:5060'", "list of texts"),
        ("listen = [5060]", "list of texts"),
        ("trust = ['10.0.0.1/8']", "host bits"),
        ("listen = ['5060']", "write udp:"),
        ("listen = ['sctp:1.2.3.4:5060']", "write udp:"),
        ("listen = ['udp:1.2.3.4:99999']", "write udp:"),
        ("listen = ['udp:[fe80::1%eth0]:5060']", "blfd.toml, listen: .* without a zone"),
        ("listen = ['udp:::1:5060']", "blfd.toml, listen: .* '::1' is not an address"),
        ("listen = ['udp:[::]:5060', 'udp:0.0.0.0:5060']", "overlap, as .* leave one out"),
        ("pnp = '[ff02::1]:5060'", "pnp is true, or an address"),
        ("address = '[::1]:5060'", "such as 192.0.2.5, not"),
        ("web = 'http://[::1]'", "such as http://0.0.0.0:8080"),
        ("trust = ['everybody']", "blfd.toml, trust: .* write 10.0.0.0/8"),
        ("trust = ['2001:db8::1/32']", "blfd.toml, trust: .* write 10.0.0.0/8"),
        ("pnp = 'yes'", "blfd.toml: pnp is true, or an address such as 224.0.1.75:5060, not 'yes'"),
        ("trust = [10]", "blfd.toml: trust is a list of texts"),
        ("[sip]\nsession_expires = 99999999999", "from 0 to 2147483647"),
        ("[sip]\nregister_min_expires = 9000", "have to rise from min to max"),
        ("[sip]\nsubscribe_max_expires = 10", "subscribe_max_expires = 10: these have to rise"),
        ("listen = ['udp:pbx.example:5060']", "'pbx.example' is not an address"),
        ("= broken", "not valid TOML"),
    ],
)
def test_errors(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "blfd.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=words) as caught:
        load(path)
    assert "\n" not in str(caught.value)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load(tmp_path / "none.toml")


def test_every_setting_is_documented_with_its_default() -> None:
    text = DOCS.read_text()
    for setting in fields(Settings):
        if setting.name in ("trust", "trust_names"):
            assert text.count("| `trust` | none |") == 2
            continue
        default = setting.default
        shown = '`["SHA-256", "MD5"]`' if isinstance(default, tuple) else str(default)
        assert f"| `{setting.name}` | {shown} |" in text
