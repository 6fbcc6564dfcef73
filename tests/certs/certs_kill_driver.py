"""Imports certificates in eight processes at once and kills each at a random moment, until so many were hit alive.

Run as a program: it loads everything once and forks, so that a kill finds the import and not the interpreter's start.
Arguments: a template of a store with eight pending requests, a folder with their certificates, a scratch folder, the
number of kills. Prints what it counted as JSON; anything wrong ends it with an error.
"""

import json
import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path

from certs import importing
from certs.entries import Entry, Status
from certs.store import Store

WRITERS = 8


def import_when_told(home: Path, certificate: bytes, start: int) -> None:
    os.read(start, 1)
    importing.import_bytes(Store.open(home), certificate, activate=True)


def begin(home: Path, certificates: list[bytes]) -> tuple[list[int], int]:
    """Fork the writers; return their process ids, and where a byte for each lets them begin."""
    start, go = os.pipe()
    children = []
    for certificate in certificates:
        child = os.fork()
        if child == 0:
            os.close(go)
            try:
                import_when_told(home, certificate, start)
            finally:
                os._exit(0)
        children.append(child)
    os.close(start)
    return children, go


def undisturbed(home: Path, certificates: list[bytes]) -> float:
    """Let all writers come to their end; return how many seconds that took on this machine, as busy as it is."""
    children, go = begin(home, certificates)
    began = time.monotonic()
    os.write(go, bytes(WRITERS))
    for child in children:
        os.waitpid(child, 0)
    os.close(go)
    return time.monotonic() - began


def one_round(home: Path, certificates: list[bytes], dice: random.Random, longest: float) -> int:
    """Start the writers, kill each within ``longest`` seconds, return how many were hit alive."""
    children, go = begin(home, certificates)
    moments = sorted((time.monotonic() + dice.random() * longest, child) for child in children)
    os.write(go, bytes(WRITERS))
    for moment, child in moments:
        time.sleep(max(0.0, moment - time.monotonic()))
        os.kill(child, signal.SIGKILL)  # one that ended is a zombie until it is waited for, so the id is still its own
    os.close(go)
    return sum(os.WIFSIGNALED(os.waitpid(child, 0)[1]) for child in children)


def check(home: Path, expected: set[str]) -> int:
    """Hold that every certificate is here whole or still asked for; return how many are here."""
    store = Store.open(home)
    assert store.notices() == (), store.notices()
    entries = store.entries()
    here = {entry.id for entry in entries if entry.status is Status.VALID}
    waiting = [entry for entry in entries if entry.status is Status.PENDING]
    assert len([entry for entry in entries if entry.active]) == 1
    assert len(here & expected) + len(waiting) == WRITERS, entries
    for entry in entries:
        _open_key(store, entry)
    store.active().private_key.public_key()
    return len(here & expected)


def _open_key(store: Store, entry: Entry) -> None:
    if entry.status is Status.PENDING:
        record = store.pending(entry.id)
        store.open_key(record.key, public=record.request.public_key)
    else:
        assert store.get(entry.id).private_key


def main(template: Path, folder: Path, scratch: Path, wanted: int) -> None:
    certificates = [path.read_bytes() for path in sorted(folder.iterdir())]
    expected = {path.name for path in folder.iterdir()}
    dice = random.Random(20261122)
    kills = rounds = imported = 0
    longest = 0.0
    while kills < wanted:
        home = scratch / str(rounds)
        shutil.copytree(template, home)
        if rounds % 4 == 0:
            shutil.copytree(template, scratch / "undisturbed")
            longest = undisturbed(scratch / "undisturbed", certificates)
            assert check(scratch / "undisturbed", expected) == WRITERS
            shutil.rmtree(scratch / "undisturbed")
        kills += one_round(home, certificates, dice, longest)
        imported += check(home, expected)
        if rounds % 4 == 0:  # nothing that a kill left stands in the way of the next import
            for certificate in certificates:
                importing.import_bytes(Store.open(home), certificate)
            assert check(home, expected) == WRITERS
            assert not list(home.rglob(".part-*"))
        shutil.rmtree(home)
        rounds += 1
    print(json.dumps({"rounds": rounds, "kills": kills, "imported": imported}))


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:4]), int(sys.argv[4]))
