"""The demo's story, told in seven steps. Every step does what it says, with the parts that users have."""

from __future__ import annotations

import datetime as dt
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from certs import importing, qr, requesting
from certs.authority import Authority, answers
from certs.clock import now, show
from certs.entries import Credential
from certs.levels import Level
from certs.profile import system_title_text
from certs.request import Request
from certs.store import Store
from hil.ble import MeterPeripheral
from hil.demo import sessions
from hil.demo.transcript import Transcript
from hil.meter.server import MeterServer
from hil.pty import PtyLine
from hil.radio import Radio
from hil.trust import MeterIdentity
from meterlink import samples
from meterlink.cli.report import as_renderable
from meterlink.meters.decode import decode_capture
from meterlink.transport.url import Context
from meterlink.values import MeterReport

_ORGANIZATION: Final = "Warm AG"
_TAG: Final = "Anna"
_METER: Final = "HEAT-00000042"
_CLOCK_ERROR: Final = dt.timedelta(minutes=7)
"""How slow the meter's clock is at first, so that setting it shows."""

_SHOWN: Final = {"energy", "volume", "max_power", "operating_time", "clock"}
"""Of a readout's seventy values, these are shown."""

_METER_TITLE: Final = b"MLKD\x00\x00\x00\x2a"


@dataclass(slots=True)
class Stage:
    """Who and what there is while the story is told."""

    tell: Transcript
    folder: Path
    authority: Authority
    store: Store
    context: Context = field(default_factory=Context)


async def tell(transcript: Transcript, folder: Path) -> None:
    """Tell the whole story; its files go into ``folder``. Raises StepFailed."""
    with transcript.step("A throw-away trust domain, and a fresh user"):
        stage = _set_the_stage(transcript, folder)
    try:
        with transcript.step("The authority orders one token; the technician scans it and makes a request"):
            request = _order_and_request(stage)
        with transcript.step("The authority reviews and issues; the certificate comes back as a picture"):
            _issue_and_import(stage, request)
        consumer, commissioning = _credentials(stage.store)
        async with _simulated_meter(stage) as urls:
            with transcript.step("As Consumer: reading is permitted, setting is not"):
                for place, url in urls.items():
                    await sessions.read_as_consumer(stage.tell, stage.context, place, url, consumer)
                await sessions.refuse_consumer(stage.tell, stage.context, next(iter(urls.values())), consumer)
            with transcript.step("As Commissioning: mutual authentication, fresh keys, and the clock is set"):
                for place, url in urls.items():
                    await sessions.set_clock(stage.tell, stage.context, place, url, commissioning, folder)
        with transcript.step("Readouts of two real meters, decoded offline"):
            for name, heading in (("uh50", "UH50"), ("t550", "T550")):
                _decode(stage, name, heading)
    finally:
        stage.authority.close()


def _set_the_stage(tell: Transcript, folder: Path) -> Stage:
    authority = Authority.init(
        folder / "authority",
        name="Demo Heatworks",
        mail="certificates@heatworks.example",
        now=now(),
        passphrase=secrets.token_urlsafe(24),
    )
    tell.done(f"Trust domain {authority.domain.name}: root, issuing CA, consumer CA, P-256")
    store = Store.open(folder / "technician")
    store.join(authority.domain)
    (entry,) = (entry for entry in store.entries() if entry.active)
    tell.done(f"The fresh user is {entry.level.value} already, with a key of their own, {entry.fingerprint[:9]}...")
    return Stage(tell, folder, authority, store)


def _order_and_request(stage: Stage) -> Request:
    ordered = stage.authority.order(
        organization=_ORGANIZATION, level=Level.COMMISSIONING, now=now(), mail="anna@warm.example"
    )
    (written,) = answers.write_tokens(ordered, stage.authority.domain, stage.folder / "1-order")
    stage.tell.done(f"Token as QR code: {_short(stage, written.code)}")
    text = qr.read_one(written.code)
    token, _ = importing.verify_token(stage.store, text)
    stage.tell.done(
        f"Scanned: {token.level.value} for {token.organization}, signature good, until {show(token.expires)}"
    )
    # Nobody can be asked for a passphrase here, and the whole store is thrown away.
    record = requesting.create_request(stage.store, text, _TAG, plain=True)
    sent = requesting.write_and_send(stage.store, record, stage.folder / "2-request", "none")
    stage.tell.done(f"Request: {_short(stage, sent.file)}, tag {_TAG}")
    stage.tell.say(f"Fingerprint of the new key, to read out over the phone: {record.request.fingerprint}")
    # Written here and not sent as `certs request` would: a demo must not open anybody's mail program.
    draft = sent.file.with_suffix(".eml")
    draft.write_bytes(requesting.request_draft(record, stage.authority.domain, sent.file.name).to_eml())
    stage.tell.done(f"Mail draft to {sent.recipient}: {_short(stage, draft)}")
    return record.request


def _issue_and_import(stage: Stage, request: Request) -> None:
    review = stage.authority.review(request.pem, now())
    stage.tell.say(
        f"Review: {review.level.value}, {review.organization}, tag {review.tag}; the fingerprint is the same"
    )
    issued = stage.authority.issue(request.pem, now(), fingerprint=request.fingerprint)
    written = answers.write_answer(issued, stage.authority.domain, stage.folder / "3-certificate")
    stage.tell.done(f"Issued: {_short(stage, written.code)}; the token is spent")
    (result,) = importing.import_bytes(stage.store, written.code.read_bytes())
    permitted = ", ".join(permission.value for permission in result.entry.permissions)
    stage.tell.done(f"Imported and active: {result.entry.level.value}, permits {permitted}")


def _credentials(store: Store) -> tuple[Credential, Credential]:
    """Return the Consumer's and the technician's credential; the latter is the active one."""
    active = store.active()
    consumer = next(
        entry for entry in store.entries() if entry.level is Level.CONSUMER and entry.domain == active.domain.name
    )
    return store.get(consumer.id), active


@asynccontextmanager
async def _simulated_meter(stage: Stage) -> AsyncIterator[dict[str, str]]:
    """Serve one meter on Bluetooth LE and on a pseudo-terminal; yield where it is reached."""
    with stage.tell.step("One simulated heat meter, on Bluetooth LE and on a serial line"):
        made = stage.authority.issue_meter(_METER_TITLE, now())
        assert made.private_key is not None  # the authority makes the key where none is given
        identity = MeterIdentity(_METER_TITLE, made.issued.certificate, made.private_key, stage.authority.domain)
        server = MeterServer(time.monotonic(), now() - _CLOCK_ERROR, identity=identity)
    async with (
        Radio() as radio,
        MeterPeripheral(radio, server.hdlc_line, name=_METER),
        PtyLine(server.hdlc_line) as line,
    ):
        stage.context = Context(ble=radio.ble)
        urls = {"Bluetooth LE": f"ble:{_METER}", "serial line": f"serial:{line.port}?baud=9600"}
        stage.tell.done(
            f"Meter {system_title_text(_METER_TITLE)} serves COSEM over HDLC at {' and '.join(urls.values())}"
        )
        yield urls


def _decode(stage: Stage, name: str, heading: str) -> None:
    report = decode_capture(samples.read(name))
    stage.tell.done(f"{heading}: {len(report.readings)} values, some of them:")
    current = (
        reading
        for reading in report.readings
        if reading.name in _SHOWN and not reading.storage and reading.value is not None
    )
    stage.tell.show(as_renderable(MeterReport(report.meter, tuple(current))))


def _short(stage: Stage, path: Path) -> str:
    return str(path.relative_to(stage.folder))
