"""Links that break at random moments. The whole storm, ten thousand a line, is ``python -m hil.transport_storm``."""

from __future__ import annotations

import pytest

from hil.transport_storm import SKIES, WARM_UP, FrameCounter, Held, Report, Storm, numbered_frame

ROUNDS = WARM_UP + 20


@pytest.mark.parametrize("line", SKIES)
async def test_a_storm(line: str) -> None:
    storm = Storm(seed=7)
    report = await storm.run(SKIES[line](storm), ROUNDS)
    assert report.rounds == ROUNDS
    assert report.frames > ROUNDS
    assert not report.faults
    assert not report.leaks


@pytest.mark.parametrize(
    ("numbers", "faults"),
    [
        ((0, 1, 2), []),
        ((0, 1, 1), ["near end: frame 1 where 2 was due"]),
        ((0, 2), ["near end: frame 2 where 1 was due"]),
        ((1,), ["near end: frame 1 where 0 was due"]),
    ],
)
def test_a_doubled_or_lost_frame_is_a_fault(numbers: tuple[int, ...], faults: list[str]) -> None:
    seen: list[str] = []
    counter = FrameCounter(seen, "near end")
    counter.feed(b"".join(numbered_frame(number, b"filling") for number in numbers))
    assert seen == faults


def test_a_hurt_frame_is_a_fault() -> None:
    seen: list[str] = []
    frame = bytearray(numbered_frame(0, b"filling"))
    frame[-4] ^= 0x01
    FrameCounter(seen, "near end").feed(bytes(frame) + numbered_frame(1, b"filling"))
    assert seen


def test_what_grows_is_a_leak() -> None:
    report = Report(held=[Held(1, 1, 9, 60_000), Held(1, 2, 12, 61_000)])
    assert report.leaks == "threads 1 -> 2, descriptors 9 -> 12"
    assert not Report(held=[Held(2, 1, 9, 60_000), Held(1, 1, 9, 61_000)]).leaks
