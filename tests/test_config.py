"""Settings: defaults, file, options, and every error in one line."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from blfd.config import Config, ConfigError, load, texts
from blfd.config.file import SIP, File, Tls
from blfd.transport.addresses import ListenAddress


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
    path.write_text('dns_servers = ["192.0.2.53", "[2001:DB8::53]:5353"]')
    assert load(path).dns_servers == (("192.0.2.53", 53), ("2001:db8::53", 5353))
    path.write_text('pnp = "224.0.1.75:5070"')
    assert load(path).pnp == ListenAddress("udp", "224.0.1.75", 5070)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("listn = []", "did you mean listen"),
        ("listen = []", "blfd.toml, listen: an empty list is nowhere: .* leave it out for the usual ports"),
        ("trust = []\ntrust = []", "not valid TOML"),
        ("[sip]\nsilence = 1\nsilence = 2", "not valid TOML"),
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
        ("pnp = '[ff02::1]:5060'", "blfd.toml, pnp: true, or a multicast group"),
        ("address = '[::1]:5060'", "such as 192.0.2.5, not"),
        ("web = 'http://[::1]'", "such as http://0.0.0.0:8080"),
        ("trust = ['everybody']", "blfd.toml, trust: .* write 10.0.0.0/8"),
        ("trust = ['2001:db8::1/32']", "blfd.toml, trust: .* write 10.0.0.0/8"),
        ("pnp = 'yes'", "blfd.toml, pnp: true, or a .* 224.0.1.75:5060, is needed, not 'yes'"),
        ("trust = [10]", "blfd.toml, trust: a list of texts"),
        ("dns_servers = ['dns.example']", "blfd.toml, dns_servers: .* such as 192.0.2.53, or"),
        ("dns_servers = ['192.0.2.53:99999']", "blfd.toml, dns_servers: an address such as"),
        ("dns_servers = ['2001:db8::53']", "not '2001:db8::53'"),
        ("[sip]\nsession_expires = 99999999999", "from 0 to 2147483647"),
        ("[sip]\nregister_min_expires = 9000", "have to rise from min to max"),
        ("[sip]\nsubscribe_max_expires = 10", "subscribe_max_expires = 10: these have to rise"),
        ("listen = ['udp:pbx.example:5060']", "'pbx.example' is not an address"),
        ("= broken", "not valid TOML"),
        ("[tls]\noldst = '1.2'", r"blfd.toml, \[tls\]: .* did you mean oldest"),
        ("[tls]\noldest = '0.9'", r"blfd.toml, \[tls\]: oldest is one of '1.0', .*, not '0.9'"),
        ("[tls]\nclient_certificates = 'asked'", "client_certificates needs client_ca"),
        ("[tls]\ntrust = ['edge.example']", "trust needs client_certificates"),
        ("tls = 'yes'", r"blfd.toml, \[tls\]: a section is needed, written \[tls\]"),
        ("certificate = 'none.pem'", "PEM file that exists is needed, not 'none.pem'"),
        ("log_format = 'xml'", "blfd.toml, log_format: log_format is one of 'text', 'json', not 'xml'"),
        ("database = ''", "blfd.toml, database: the name of a file"),
        ("pnp = '192.0.2.1:5060'", "multicast"),
        ("[sip]\npublish_max_expires = 1", "publish_max_expires = 1: these have to rise"),
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


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def put(**variables: str) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return put


def test_the_environment_goes_over_the_file_and_options_over_both(
    tmp_path: Path, environment: Callable[..., None]
) -> None:
    path = tmp_path / "blfd.toml"
    path.write_text(
        'listen = ["udp:127.0.0.1:1"]\naddress = "192.0.2.1"\n[sip]\nsilence = 1\nmax_calls = 1\n'
    )
    environment(
        BLFD_LISTEN="udp:127.0.0.1:2, tcp:127.0.0.1:2",
        BLFD_TRUST='["192.0.2.0/24"]',
        BLFD_SIP__SILENCE="2",
        BLFD_SIP__DIGEST_ALGORITHMS="MD5",
        BLFD_TLS__OLDEST="1.3",
        BLFD_PNP="true",
        BLFD_LOG_FORMAT="json",
    )
    config = load(path)
    assert [str(each) for each in config.listen] == ["udp:127.0.0.1:2", "tcp:127.0.0.1:2"]
    assert (config.address, config.sip.silence, config.sip.max_calls) == ("192.0.2.1", 2, 1)
    assert (config.sip.digest_algorithms, config.sip.trust) == (("MD5",), (IPv4Network("192.0.2.0/24"),))
    assert (config.tls.oldest, str(config.pnp), config.log_format) == ("1.3", "udp:224.0.1.75:5060", "json")
    over = load(path, listen=["udp:127.0.0.1:3"], log_format="text")
    assert ([str(each) for each in over.listen], over.log_format) == (["udp:127.0.0.1:3"], "text")
    assert load(None).sip.silence == 2, "without a file, too"


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("BLFD_LISTN", "udp:127.0.0.1:1", "environment: unknown key BLFD_LISTN; did you mean BLFD_LISTEN"),
        ("BLFD_SIP__SILENC", "1", "did you mean BLFD_SIP__SILENCE"),
        ("BLFD_SIP__SILENCE", "long", "BLFD_SIP__SILENCE: silence is a whole number"),
        ("BLFD_LISTEN", "5060", "BLFD_LISTEN: .* write udp:"),
        ("BLFD_LISTEN", "[1", "BLFD_LISTEN|listen"),
        ("BLFD_SIP", "many", "BLFD_SIP|sip"),
        ("BLFD_WEB", "8088", "BLFD_WEB: an address such as http"),
        ("BLFD_SECRETS", "nowhere/at/all", "BLFD_SECRETS: no folder"),
    ],
)
def test_errors_of_the_environment(
    environment: Callable[..., None], name: str, value: str, words: str
) -> None:
    environment(**{name: value})
    with pytest.raises(ConfigError, match=words) as caught:
        load(None)
    assert "\n" not in str(caught.value)


def test_secrets_are_files(tmp_path: Path, environment: Callable[..., None]) -> None:
    """Each kind of setting is read as its variable is: texts, addresses, lists, sections, PEM files."""
    key = tmp_path / "key.pem"
    key.write_text("a key")
    for name, text in {
        "blfd_address": "192.0.2.9\n",
        "blfd_web": "http://127.0.0.1:8088\n",
        "blfd_trust": "192.0.2.0/24, 198.51.100.0/24\r\n",
        "blfd_certificate": f"{key}\n",
        "blfd_certificate_key": f"{key}\n",
        "blfd_sip__silence": "7\n",
        "blfd_sip__max_calls": "8\n",
        "other_password": "of another program",
    }.items():
        (tmp_path / name).write_text(text)
    environment(BLFD_SECRETS=str(tmp_path), BLFD_SIP__MAX_CALLS="9")
    config = load(None)
    assert (config.address, f"{config.web}") == ("192.0.2.9", "http://127.0.0.1:8088")
    assert (config.sip.silence, config.sip.max_calls) == (7, 9), "variables go over them"
    assert config.sip.trust == (IPv4Network("192.0.2.0/24"), IPv4Network("198.51.100.0/24"))
    assert [each.key for each in config.tls.certificates] == [key]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("blfd_webb", b"x", ": unknown key blfd_webb; did you mean blfd_web?"),
        ("blfd_sip__silenc", b"1", ": unknown key blfd_sip__silenc; did you mean blfd_sip__silence?"),
        ("blfd_web", b"8088", "/blfd_web: an address such as http.*, not what it has"),
        ("blfd_sip__silence", b"long", "/blfd_sip__silence: silence is a whole number"),
        ("blfd_address", b"\xff\xfe", "/blfd_address is not UTF-8"),
        ("blfd_address", None, "/blfd_address: Is a directory"),
        ("blfd_certificate_key", b"-----BEGIN\nsecret\n", "/blfd_certificate_key: the name of a PEM file"),
    ],
)
def test_errors_of_secrets(
    tmp_path: Path, environment: Callable[..., None], name: str, content: bytes | None, words: str
) -> None:
    if content is None:
        (tmp_path / name).mkdir()
    else:
        (tmp_path / name).write_bytes(content)
    environment(BLFD_SECRETS=str(tmp_path))
    with pytest.raises(ConfigError, match=words) as caught:
        load(None)
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value).partition(": ")[2], "what may be a key is told to nobody"


def test_the_schema_has_every_setting() -> None:
    schema = File.model_json_schema()
    assert schema["properties"].keys() == {*texts.GENERAL, "tls", "sip"}
    assert schema["properties"]["sip"]["properties"].keys() == texts.SIP.keys() == SIP.keys()
    assert schema["$defs"]["Tls"]["properties"].keys() == texts.TLS.keys()
    assert schema["properties"]["listen"]["default"] == ["udp:0.0.0.0:5060", "tcp:0.0.0.0:5060"]


def test_an_empty_list_says_nothing_or_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who writes one does not get what stands there by default."""
    path = tmp_path / "blfd.toml"
    tls = {f"tls.{name}": each for name, each in Tls.model_fields.items()}
    sip = [f"sip.{name}" for name, default in SIP.items() if isinstance(default, tuple)]
    lists = [name for name, each in (File.model_fields | tls).items() if isinstance(each.default, list)]
    assert {"listen", "trust", "tls.trust", "certificate", "sip.digest_algorithms"} <= {*lists, *sip}
    for name in (*lists, *sip):
        path.write_text(f"{name} = []\n")
        if name in ("listen", "sip.digest_algorithms"):
            with pytest.raises(ConfigError, match=name.rpartition(".")[2]):
                load(path)
        else:
            assert load(path) == Config()
    monkeypatch.setenv("BLFD_LISTEN", "")
    with pytest.raises(ConfigError, match=r"^BLFD_LISTEN: an empty list"):
        load(None)
