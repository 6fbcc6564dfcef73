"""Links that break at random moments. The whole storm, ten thousand a line, is ``python -m hil.transport_storm``."""

from __future__ import annotations

import pytest

from hil.transport_storm import SKIES, WARM_UP, Storm, main

ROUNDS = WARM_UP + 20


@pytest.mark.parametrize("line", SKIES)
async def test_a_storm(line: str) -> None:
    storm = Storm(seed=7)
    report = await storm.run(SKIES[line](storm), ROUNDS)
    assert report.rounds == ROUNDS
    assert report.frames > ROUNDS
    assert not report.faults
    assert not report.leaks


def test_a_fault_is_seen(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A far end that gives every frame back twice must not pass."""
    receive = "hil.transport_storm.FarEnd.receive"
    monkeypatch.setattr(
        receive, lambda self, data, now: b"".join(frame.to_bytes() * 2 for frame in self._counter.feed(data))
    )
    assert main(["pty", "--rounds", "5"]) == 1
    assert "fault: near end: frame 0 where 1 was due" in capsys.readouterr().out
