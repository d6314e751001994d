"""Real documents and NOTIFYs: each is read, or refused for the reason that the corpus' index gives."""

from __future__ import annotations

from pathlib import Path

import pytest

from dialog_info import DialogInfoError, build, parse

CORPUS = Path(__file__).parents[3] / "shared" / "corpus"
REFUSED = {
    "grandstream-forum-dialoginfo-empty-entity.xml": "cut off",
    "rfc4662-rlmi-sample-stray-quote.xml": "a stray quote, and RLMI besides",
    "sipx-dialoginfo-escaping.xml": "an entity that is not defined",
    "snom-dialoginfo-trying.xml": "version and entity are dots of the page",
    "sipsorcery-notify-header-only-6.sip": "says utf-16 and is not",
    "asterisk-chansip-notify-pickup-truncated.sip": "the body is cut off",
}


def documents() -> list[Path]:
    found = sorted(CORPUS.glob("*.xml"))
    notifies = (path for path in sorted(CORPUS.glob("*.sip")) if path.read_bytes()[:7] == b"NOTIFY ")
    return found + [path for path in notifies if b"<dialog-info" in path.read_bytes()]


def body(path: Path) -> bytes:
    data = path.read_bytes()
    return data[data.index(b"<?xml") if b"<?xml" in data else data.index(b"<dialog-info") :]


@pytest.mark.skipif(not CORPUS.is_dir(), reason="there is no corpus beside the project")
def test_the_corpus() -> None:
    paths = documents()
    assert len(paths) > 30
    for path in paths:
        if path.name in REFUSED:
            with pytest.raises(DialogInfoError):
                parse(body(path))
            continue
        info = parse(body(path))
        assert parse(build(info)) == info, path.name
    assert {path.name for path in paths} >= REFUSED.keys()


@pytest.mark.skipif(not CORPUS.is_dir(), reason="there is no corpus beside the project")
def test_identifiers_are_read() -> None:
    (dialog,) = parse(body(CORPUS / "yealink-dialoginfo-early-for-pickup.xml")).dialogs
    assert (dialog.call_id, dialog.local_tag, dialog.remote_tag) == (
        "0_1756536024@10.10.20.34",
        "3408640225",
        "3779921438",
    )
