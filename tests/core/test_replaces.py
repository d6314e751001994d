"""The Replaces header field, as phones and the RFC write it."""

from __future__ import annotations

from pathlib import Path

import pytest

from blfd.core.calls.replaces import parse
from blfd.core.errors import Refusal
from blfd.core.values import Replaces

CORPUS = Path(__file__).parents[3] / "shared" / "corpus"


@pytest.mark.parametrize(
    ("value", "replaces"),
    [
        ("a@b;to-tag=1;from-tag=2", Replaces("a@b", "1", "2")),
        ("a@b;from-tag=2;to-tag=1", Replaces("a@b", "1", "2")),
        ("a@b;to-tag=1;from-tag=2;early-only", Replaces("a@b", "1", "2", True)),
        ("a@b;early-only;to-tag=1;from-tag=2", Replaces("a@b", "1", "2", True)),
        ('  a@b ; To-Tag = 1 ;FROM-TAG=2; x ; y=z;q="a;b" ', Replaces("a@b", "1", "2")),
        (
            "0jKw.J~v_U*!;to-tag=40D97B94-EBD92893;from-tag=0",
            Replaces("0jKw.J~v_U*!", "40D97B94-EBD92893", "0"),
        ),
        ("87134@171.161.34.23;to-tag=24796;from-tag=0;x=y", Replaces("87134@171.161.34.23", "24796", "0")),
    ],
)
def test_what_is_taken(value: str, replaces: Replaces) -> None:
    assert parse((value,)) == replaces


@pytest.mark.parametrize(
    "values",
    [
        (),
        ("",),
        ("a@b",),
        ("a@b@c;to-tag=1;from-tag=2",),
        (";to-tag=1;from-tag=2",),
        ("a b;to-tag=1;from-tag=2",),
        ("a@b;to-tag=1",),
        ("a@b;to-tag=;from-tag=2",),
        ("a@b;to-tag;from-tag=2",),
        ('a@b;to-tag="1";from-tag=2',),
        ("a@b;to-tag=1;to-tag=1;from-tag=2",),
        ("a@b;to-tag=1;from-tag=2;early-only=yes",),
        ("a@b;to-tag=1;from-tag=2;;",),
        ("a@b;to-tag=1@;from-tag=2",),
        ("a@b;to-tag=1;from-tag=2", "a@b;to-tag=1;from-tag=2"),
    ],
)
def test_what_is_refused(values: tuple[str, ...]) -> None:
    with pytest.raises(Refusal) as refused:
        parse(values)
    assert refused.value.status == 400


def test_the_corpus() -> None:
    if not CORPUS.is_dir():
        pytest.skip("the corpus of real messages is not here")
    for file in sorted(CORPUS.glob("replaces-value-good-*.txt")):
        parse((file.read_text(),))
    bad = sorted(CORPUS.glob("replaces-value-bad-*.txt"))
    assert bad
    for file in bad:
        with pytest.raises(Refusal):
            parse((file.read_text(),))
