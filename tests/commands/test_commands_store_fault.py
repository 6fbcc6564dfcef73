"""A counter store that fails at the answer to a write: the meter has done it, so it is uncertain and never refused."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from commands_field import FieldMeter, served
from commands_security import Meanwhile, OneCertificate

from certs.levels import Level
from certs.locking import locked
from meterlink import counter_file
from meterlink.cli import acting

GMAC = "security=hls-gmac&client=19"
MESSAGES_BEFORE = {"cosem": 2, "configure": 3}
"""The association takes two; `configure` reads the old value first."""


@pytest.mark.parametrize("verb", ["cosem", "configure"])
def test_44_a_record_that_cannot_be_kept_leaves_the_write_uncertain(
    meterlink, field_meter: FieldMeter, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    monkeypatch.setattr(acting, "open_store", lambda: OneCertificate(Level.SERVICE))
    monkeypatch.setattr(counter_file, "_RECORD_PATIENCE", 0)
    held = contextlib.ExitStack()

    def hold() -> None:
        for lock in (home / "counters").glob("*-received/*.lock"):
            held.enter_context(locked(lock))

    words = {
        "cosem": ("set", "{}", "data", "0-0:96.1.1", "value", "text:12345678"),
        "configure": ("{}", "property-number=12345678"),
    }[verb]
    keys = field_meter.key_file(tmp_path)
    line = Meanwhile(field_meter, hold, at=MESSAGES_BEFORE[verb] + 1)
    with served(line, "wrapper") as url, held:
        url += f"&{GMAC}"
        done = meterlink(verb, *(word.format(url) for word in words), "--keys", keys)
    assert (done.status, done.code) == (5, "write-uncertain"), done.err
    with served(field_meter.server, "wrapper") as url:
        read = meterlink("read", f"{url}&{GMAC}", "--object", "property-number", "--keys", keys, "--json")
    assert [reading["value"] for reading in read.json["readings"]] == ["12345678"]
