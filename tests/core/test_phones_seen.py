"""What phones are seen to do: told once where it is the same, and what was found out is never old."""

from __future__ import annotations

from unittest.mock import Mock

from hypothesis import given
from hypothesis import strategies as st

from blfd.core.events.subscription import Subscription
from blfd.core.events.subscriptions import Subscriptions
from blfd.core.phones_seen import read, told
from blfd.core.settings import Settings
from blfd.core.values import Aor, DialogId, Flow, NameAddr, SubscriptionDialog

FLOWS = [Flow("udp", f"192.0.2.{n}", 5060) for n in (1, 2)]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(("add", "remove", "move", "look")),
        st.integers(0, 5),  # which subscription
        st.sampled_from(("101", "102")),
        st.sampled_from(FLOWS),
        st.sampled_from(("Yealink", "Snom")),
    ),
    max_size=30,
)


def subscription(number: int, watcher: str, flow: Flow, user_agent: str) -> Subscription:
    who = NameAddr(f"sip:{watcher}@127.0.0.1", "")
    dialog = SubscriptionDialog(DialogId(f"c{number}", f"k{number}", "r"), who, who, "sip:x", (), "dialog")
    of = Aor("default", str(200 + number)), Aor("default", watcher)
    return Subscription(
        *of, Mock(), "sip:x", dialog=dialog, remote_cseq=1, flow=flow, expires_at=1.0, user_agent=user_agent
    )


@given(STEPS)
def test_what_a_watchers_phones_watch_follows_each_change(
    steps: list[tuple[str, int, str, Flow, str]],
) -> None:
    subscriptions, there = Subscriptions(Settings()), dict[int, Subscription]()
    for step, number, watcher, flow, user_agent in steps:
        match step:
            case "add" if number not in there:
                there[number] = subscription(number, watcher, flow, user_agent)
                subscriptions.add(there[number])
            case "remove" if number in there:
                subscriptions.remove(there.pop(number))
            case "move" if number in there:
                subscriptions.move(there[number], flow)
        for extension in ("101", "102"):
            expected: dict[tuple[Flow, str], list[str]] = {}
            for one in there.values():
                if one.watcher.extension == extension:
                    expected.setdefault((one.flow, one.user_agent), []).append(one.resource.extension)
            found = subscriptions.phones(Aor("default", extension))
            assert {(p.flow, p.user_agent): [*p.watched] for p in found} == {
                of: sorted(watched) for of, watched in expected.items()
            }


def test_what_is_the_same_is_told_once() -> None:
    registered = [("101", "udp:192.0.2.1:5060", "Yealink")]
    watching: list[tuple[str, str, str, tuple[str, ...]]] = [
        (str(number), "udp:192.0.2.1:5060", "Yealink", ("102", "103")) for number in (101, 104)
    ]
    watching.append(("105", "udp:192.0.2.2:5060", "Snom", ()))
    answer = told(registered, watching)
    assert answer["watched"] == [("102", "103"), ()]
    seen = read(answer)
    names = ("extension", "source", "user_agent")
    assert seen.registered == [dict(zip(names, row, strict=True)) for row in registered]
    assert [(row["watcher"], row["resources"]) for row in seen.watching] == [
        ("101", {"102", "103"}),
        ("104", {"102", "103"}),
        ("105", set()),
    ]
    assert seen.watching[0]["resources"] is seen.watching[1]["resources"]
