"""Whole sessions beside the peers: association and 20 GETs over loopback TCP, and a line of 9600 bit/s.

Our simulated meter serves everybody, in a process of its own; every client runs in one of its own. Each number is the
best of several sessions in one process, so that nobody's imports are counted. The clients take turns, and a ratio is
the median of those of all turns: a machine that is slower for a while is so for everybody in the turn.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PEERS_PYTHON = ROOT / ".venv-peers" / "bin" / "python"
GETS = 20
ROUNDS = 12
TURNS = 7

_TWO = ("pydlms-client", "gurux-dlms")
_THREE = (*_TWO, "dlms-cosem")

MODES = {
    "none": (1, 17, _THREE),
    "password": (1, 18, _THREE),
    "MD5": (1, 22, _TWO),
    "SHA-1": (1, 23, _TWO),
    "SHA-256": (1, 24, _TWO),
    "GMAC and glo": (1, 19, _THREE),
    "ECDSA": (1, 20, _TWO),
    "ECDSA and glo": (1, 21, _TWO),
    "P-384": (2, 20, _TWO[:1]),
    "P-384 and glo": (2, 21, _TWO[:1]),
}
"""Mode -> suite of the meter, client SAP, peers that know it."""

_COUNTERS = 200 * (ROUNDS + 1)
"""Invocation counters that one client may use up."""


class PeerFailed(Exception):
    """A peer broke down in the middle of its sessions."""


def main() -> None:
    """Print everything."""
    if not PEERS_PYTHON.exists():
        print("the peers are not installed (make setup-test): only ours is measured")
    with meter() as served:
        loopback(served)
        slow_line(served)


def loopback(served: dict[str, Any]) -> None:
    """Print milliseconds of a session with 20 GETs one by one, in every mode and framing."""
    print(f"connect, associate, {GETS} GETs one by one, release over loopback TCP (ms, best of {TURNS} x {ROUNDS};")
    print("ratios to meterlink: the median of all turns)")
    counter = 1
    for line in ("wrapper", "hdlc"):
        for mode, (suite, sap, peers) in MODES.items():
            job = served["jobs"][f"{line} {suite} {sap}"] | {
                "gets": GETS,
                "rounds": ROUNDS,
                "scalers": False,
                "at_once": False,
            }
            clients = {"meterlink": (None, job), "in a list": (None, job | {"at_once": True})}
            clients |= {name: (name, job) for name in peers if PEERS_PYTHON.exists()}
            turns: list[dict[str, float]] = []
            failed: dict[str, str] = {}
            for _ in range(TURNS):
                turn: dict[str, float] = {}
                for label, (name, work) in clients.items():
                    try:
                        turn[label], counter = seconds(name, work, counter)
                    except PeerFailed as error:
                        counter += _COUNTERS
                        failed[label] = str(error)
                turns.append(turn)
            print(f"  {line:<8} {mode:<14} " + "  ".join(_cells(turns, peers, failed)), flush=True)


def _cells(turns: list[dict[str, float]], peers: tuple[str, ...], failed: dict[str, str]) -> Iterator[str]:
    def best(label: str) -> str:
        return f"{1e3 * min(turn[label] for turn in turns if label in turn):6.1f}"

    yield f"meterlink {best('meterlink')}"
    yield f"(in a list {best('in a list')})"
    for name in peers:
        ratios = [turn[name] / turn["meterlink"] for turn in turns if name in turn]
        if ratios:
            yield f"{name} {best(name)} = {median(ratios):5.2f} x"
        elif name in failed:
            yield f"{name} fails ({failed[name]})"


def slow_line(served: dict[str, Any]) -> None:
    """Print seconds for 20 values with scaler and unit over 9600 bit/s, and how much of the wire a profile uses."""
    print(f"\n{GETS} values with scaler and unit over HDLC at 9600 bit/s, 20 ms turnaround (s)")
    counter = 1_000_000
    common = {"gets": GETS, "rounds": 1, "scalers": True, "at_once": True}
    certificates = {"port": served["ports"]["slow-certificates"], "framing": "hdlc", "counter": 0}
    ours, _ = seconds(None, certificates | common | {"certificates": True}, counter)
    print(f"  meterlink, certificates and key agreement, in lists   {ours:6.2f}")
    for mode, name in (("ECDSA", "gurux-dlms"), ("ECDSA and glo", "gurux-dlms"), ("ECDSA and glo", "pydlms-client")):
        job = served["jobs"]["slow {} {}".format(*MODES[mode])] | common
        listed, counter = seconds(None, job, counter)
        print(f"  meterlink, {mode}, in lists{'':<{26 - len(mode)}} {listed:6.2f}")
        if PEERS_PYTHON.exists():
            theirs, counter = seconds(name, job, counter)
            label = f"{name}, {mode}, one by one"
            print(
                f"  {label:<53} {theirs:6.2f}   certificates: {ours / theirs:.2f}, lists: {listed / theirs:.2f} of it"
            )
    spent, octets, rows = run(None, certificates | common | {"certificates": True, "profile": True})
    wire = octets * 10 / 9600
    print(f"  load profile: {rows} rows, {octets} octets in {spent:.1f} s, {100 * wire / spent:.0f} % of the wire")


def seconds(name: str | None, job: dict[str, Any], counter: int) -> tuple[float, int]:
    """Return the best session's seconds, and the counter that the next client begins with."""
    times = run(name, job | {"counter": counter})
    return min(times), counter + _COUNTERS


def run(name: str | None, job: dict[str, Any]) -> Any:
    """Run a client in its process: ours (None) or the peer called ``name``; return what it prints."""
    if name is None:
        command = [sys.executable, "-m", "tests.benchmarks.session_ours", json.dumps(job)]
    else:
        command = [str(PEERS_PYTHON), str(HERE / "session_peer.py"), name, json.dumps(job)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    if done.returncode and name is not None:
        raise PeerFailed(done.stderr.splitlines()[-1][:60])
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    return json.loads(done.stdout.splitlines()[-1])


@contextmanager
def meter() -> Iterator[dict[str, Any]]:
    """Run the meter; yield where it listens and what clients must know."""
    with tempfile.TemporaryDirectory() as home:
        os.environ["METERLINK_HOME"] = home
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.session_meter"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.stdin.close()
            process.wait(30)


if __name__ == "__main__":
    main()
