"""Two people hear each other after a pickup or a transfer, by PJSUA2 phones that play tones and record."""

from __future__ import annotations

import cmath
import math
import operator
import struct
import wave
from pathlib import Path

import pytest
from sites import Site

from blfd.demo.simulation import PhoneProcess

RATE = 8000  # samples a second
SECONDS = 2
ENOUGH = 40  # packets, of 20 ms each
TONES = {"101": 425.0, "103": 1000.0}


def tone(path: Path, frequency: float) -> None:
    samples = [round(12_000 * math.sin(2 * math.pi * frequency * n / RATE)) for n in range(RATE * SECONDS)]
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(struct.pack(f"<{len(samples)}h", *samples))


def heard(path: Path) -> dict[float, float]:
    """The share of each tone in the energy of a recording (Goertzel), which is how clear the tone is."""
    with wave.open(str(path), "rb") as file:
        rate = file.getframerate()
        samples = struct.unpack(f"<{file.getnframes()}h", file.readframes(file.getnframes()))
    loud = [n for n, sample in enumerate(samples) if abs(sample) > 1000]
    sound = samples[loud[0] : loud[-1]] if loud else ()  # without the silence before and after
    assert len(sound) > ENOUGH / 2 * 0.02 * rate, f"{len(sound) / rate:.2f} s of sound"
    energy = sum(sample * sample for sample in sound)
    shares = {}
    for frequency in TONES.values():
        waves = [cmath.exp(-2j * math.pi * frequency * n / rate) for n in range(rate // 20)]
        blocks = [sound[at : at + len(waves)] for at in range(0, len(sound) - len(waves), len(waves))]
        power = sum(abs(sum(map(operator.mul, block, waves))) ** 2 for block in blocks)
        shares[frequency] = 2 * power / len(waves) / energy
    return shares


def talker(site: Site, folder: Path, user: str, watch: str = "") -> PhoneProcess:
    """A phone that plays a tone of its own, and records what it hears."""
    play, record = folder / f"{user}.wav", folder / f"{user}-heard.wav"
    tone(play, TONES[user])
    return site.phone(user, "--play", str(play), "--record", str(record), watch=watch)


def received(phone: PhoneProcess) -> int:
    """The number of packets, once there are enough, or after a while."""
    for _ in range(200):
        phone.do("measure")
        packets = int(phone.wait("received")["packets"])
        if packets >= ENOUGH:
            break
    return packets


@pytest.mark.parametrize("way", ["code", "key"])
def test_both_hear_each_other(site: Site, way: str, tmp_path: Path) -> None:
    alice, bob, carol = (
        talker(site, tmp_path, "101"),
        site.phone("102"),
        talker(site, tmp_path, "103", watch="102"),
    )
    alice.do("call", to="102")
    bob.wait("incoming")
    carol.wait("lamp", lambda event: event["lamp"] == "ringing")
    if way == "code":
        carol.do("call", to="*97102")
    else:
        carol.do("press", key="102")
    for phone in (alice, carol):
        phone.wait_call("confirmed")
    assert bob.wait_call("disconnected")["code"] == 487
    assert received(alice) >= ENOUGH
    assert received(carol) >= ENOUGH
    alice.do("hangup")
    carol.wait_call("disconnected")
    hear_each_other(alice, carol, tmp_path)


def hear_each_other(alice: PhoneProcess, carol: PhoneProcess, folder: Path) -> None:
    """Check that each has recorded the tone of the other."""
    for phone in (alice, carol):
        phone.stop()  # the recording is complete when the phone has ended
    for listener, talker in (("101", "103"), ("103", "101")):
        shares = heard(folder / f"{listener}-heard.wav")
        assert shares[TONES[talker]] > 0.5, shares
        assert shares[TONES[listener]] < 0.05, shares


@pytest.mark.parametrize("way", ["blind", "attended", "while it rings"])
def test_both_hear_each_other_after_a_transfer(site: Site, way: str, tmp_path: Path) -> None:
    """102 transfers 101 to 103; until then 101 hears silence from 102."""
    alice, carol = (talker(site, tmp_path, user) for user in ("101", "103"))
    bob = site.phone("102")
    alice.do("call", to="102")
    bob.wait("incoming")
    bob.do("answer")
    for phone in (alice, bob):
        phone.wait_call("confirmed")
    if way == "blind":
        bob.do("transfer", to="103")
        carol.wait("incoming")
        assert bob.wait("transfer", lambda event: event["code"] == 180)
    else:
        bob.do("consult", to="103")
        alice.wait("media", lambda event: event["state"] == "held by them")
        carol.wait("incoming")
        if way == "attended":
            carol.do("answer")
            carol.wait_call("confirmed")
            bob.wait_call("confirmed")
        bob.do("transfer")
        assert bob.wait("transfer", lambda event: event["code"] in (100, 180))
    if way != "attended":
        carol.do("answer")
        carol.wait_call("confirmed")
    assert bob.wait("transfer", lambda event: event["final"])["code"] == 200
    bob.wait_call("disconnected")
    site.wait_idle("102")
    before = received(alice), received(carol)
    assert min(before) >= ENOUGH
    carol.do("hangup")
    alice.wait_call("disconnected")
    hear_each_other(alice, carol, tmp_path)
