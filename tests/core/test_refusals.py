"""Final responses: which are passed on and which translated, and what has to go with each."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blfd.core.calls.passed_on import HEARD
from blfd.core.calls.refusals import (
    EXPLAINS,
    REQUIRED,
    Refused,
    better,
    of_info,
    of_invite,
    of_offer,
    of_server,
)
from blfd.core.values import Headers

ROOT = Path(__file__).parents[2]
OURS = dict(pair for pair in REQUIRED.values() if pair[1] is not None)
MORE: Headers = (("Retry-After", "5"), ("Warning", '399 b "so"'), ("Reason", "Q.850;cause=17"))


@pytest.mark.parametrize(
    ("status", "said", "told", "explained"),
    [
        (200, (), 480, ()),
        (200, MORE, 480, MORE),
        (486, MORE, 486, MORE),
        (404, (), 404, ()),
        (480, MORE, 480, MORE),
        (488, MORE, 488, MORE),
        (500, MORE, 500, MORE),
        (502, (), 502, ()),
        (503, MORE, 500, MORE),
        (600, (), 600, ()),
        (603, MORE, 603, MORE),
        (301, (), 480, ()),
        (302, MORE, 480, MORE),
        (401, (), 480, ()),
        (407, (), 480, ()),
        (408, (), 480, ()),
        (430, (), 480, ()),
        (481, (), 480, ()),
        (482, (), 482, ()),
        (483, (), 483, ()),
        (487, (), 480, ()),
        (491, (), 480, ()),
        (405, (("Allow", "BYE"),), 405, (("Allow", "BYE"),)),
        (405, (), 405, (("Allow", OURS["Allow"]),)),
        (415, (("Accept", "text/plain"), *MORE), 415, (("Accept", "text/plain"), *MORE)),
        (415, (), 415, (("Accept", "application/sdp"),)),
        (420, (("Unsupported", "timer"),), 420, (("Unsupported", "timer"),)),
        (420, (), 480, ()),
        (421, (("Require", "100rel"),), 421, (("Require", "100rel"),)),
        (421, (), 480, ()),
        (422, (), 480, ()),
        (423, (), 480, ()),
        (424, (("Geolocation-Error", "100"),), 424, (("Geolocation-Error", "100"),)),
        (494, (), 480, ()),
        (486, (("Accept", "text/plain"), ("Allow", "BYE"), ("Require", "x"), ("Unsupported", "y")), 486, ()),
        (406, (("Accept", "text/plain"),), 406, (("Accept", "text/plain"),)),
    ],
)
def test_what_a_caller_is_told_of_a_refused_invite(
    status: int, said: Headers, told: int, explained: Headers
) -> None:
    refused = of_invite("102", status, "Words", said)
    assert (refused.status, refused.headers) == (told, explained)
    assert refused.translated == (0 if told == status and refused.reason == "Words" else status)
    assert refused.reason == "Words" or refused.reason.startswith("102 ")


@pytest.mark.parametrize(
    ("status", "told"),
    [(488, 488), (491, 491), (401, 488), (407, 488), (420, 488), (503, 488), (600, 488), (302, 488)],
)
def test_what_is_told_of_a_refused_offer(status: int, told: int) -> None:
    assert of_offer(status, "Words", MORE)[:3] == (
        told,
        "Words" if told == status else "Not Acceptable Here",
        MORE,
    )


@pytest.mark.parametrize(
    ("status", "said", "told", "explained"),
    [
        (481, (), 481, ()),
        (500, MORE, 500, MORE),
        (302, (), 403, ()),
        (401, (), 403, ()),
        (469, (("Recv-Info", "a, b"),), 469, (("Recv-Info", "a, b"),)),
        (469, (), 469, (("Recv-Info", ""),)),
        (415, (), 415, (("Accept", "application/sdp"),)),
    ],
)
def test_what_is_told_of_a_refused_info(status: int, said: Headers, told: int, explained: Headers) -> None:
    assert of_info(status, "Words", said)[:3] == (told, "Words", explained)


@given(st.integers(0, 699), st.text(), st.lists(st.tuples(st.sampled_from(HEARD), st.text(max_size=5))))
def test_whatever_is_relayed_has_what_it_requires(
    status: int, reason: str, said: list[tuple[str, str]]
) -> None:
    headers = tuple(said)
    for refused in (
        of_invite("102", status, reason, headers),
        of_server("carrier", status, reason, headers),
        of_offer(status, reason, headers),
        of_info(status, reason, headers),
    ):
        names = [name for name, _ in refused.headers]
        assert 400 <= refused.status < 700
        assert REQUIRED.get(refused.status, (None,))[0] in (None, *names)
        assert refused.reason.isprintable() or not reason.isascii()
        for name in names:
            assert refused.status in EXPLAINS.get(name, (refused.status,))


@pytest.mark.parametrize(
    ("statuses", "best"),
    [
        ((486, 404), 486),
        ((480, 404), 404),
        ((404, 480), 404),
        ((500, 480), 480),
        ((480, 500), 480),
        ((500, 486), 486),
        ((603, 600), 603),
        ((486, 600), 600),
        ((600, 404), 600),
    ],
)
def test_the_better_of_two(statuses: tuple[int, int], best: int) -> None:
    one, other = (Refused(status, "") for status in statuses)
    assert better(one, other).status == best


HEADERS_AT = {"Refusal": 2, "Reply": 3, "HangUp": 4, "RefuseOffer": 3, "RespondToInfo": 6, "_respond": 4}
"""Where the header fields stand among the arguments of what makes a final response."""


def test_refusals_in_the_code_have_the_field_that_their_status_requires() -> None:
    """Each place in the code that refuses by one of these statuses gives the header field it requires."""
    found = 0
    for path in (ROOT / "blfd").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name | ast.Attribute):
                continue
            name = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
            statuses = [n.value for n in node.args if isinstance(n, ast.Constant) and n.value in REQUIRED]
            if name in HEADERS_AT and statuses:
                found += 1
                has_headers = any(keyword.arg == "headers" for keyword in node.keywords)
                assert has_headers or len(node.args) > HEADERS_AT[name], f"{path}:{node.lineno}"
    assert found > 5
