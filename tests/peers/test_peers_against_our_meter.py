"""pydlms-client, gurux-dlms and dlms-cosem read and write our meter in every mode that they and we know."""

import datetime as dt

import pytest
from peers_field import NEW_TIME

from certs.levels import Permission
from hil.meter.clients import FIELD_CLIENTS
from meterlink.cosem.association.channel import Channel
from meterlink.cosem.objects.security_policy import policy_from_words

MODES = {
    "none": 17,
    "password": 18,
    "GMAC": 19,
    "ECDSA": 20,
    "ECDSA and glo": 21,
    "MD5": 22,
    "SHA-1": 23,
    "SHA-256": 24,
}


def check(result, server, sap):
    """What the peer says is what the meter holds, and it could do what its SAP allows and nothing else."""
    meter = server.meter
    assert bytes.fromhex(result["device"]) == meter.device_name
    assert abs(int(float(result["energy"])) - int(meter.metrology.totals.energy)) < 100
    assert result["objects"] > 30
    assert result["rows"] == 24
    assert "done" not in result["action"]
    assert not meter.settings.test_mode
    may_write = Permission.CONFIGURE in FIELD_CLIENTS[sap].permissions
    assert (result["set"] == "done") is may_write
    shown = dt.datetime.fromisoformat(result["clock"]).replace(tzinfo=None)
    was_set = abs(shown - dt.datetime.fromisoformat(NEW_TIME).replace(tzinfo=None)) < dt.timedelta(seconds=10)
    assert was_set is may_write


SCRIPTS = {
    "peer_pydlms.py": tuple(MODES),
    "peer_gurux.py": tuple(MODES),
    "peer_dlms_cosem.py": ("none", "password", "GMAC"),
}


@pytest.mark.parametrize("framing", ["wrapper", "hdlc"])
@pytest.mark.parametrize(("script", "mode"), [(script, mode) for script, modes in SCRIPTS.items() for mode in modes])
async def test_a_peer_reads_and_writes_our_meter(run_peer, script, mode, framing):
    result, server = await run_peer(script, framing, MODES[mode])
    check(result, server, MODES[mode])


@pytest.mark.parametrize("mode", ["ECDSA", "ECDSA and glo"])
@pytest.mark.parametrize("framing", ["wrapper", "hdlc"])
async def test_a_peer_reads_and_writes_our_meter_in_suite_2(run_peer, mode, framing):
    result, server = await run_peer("peer_pydlms.py", framing, MODES[mode], suite=2)
    check(result, server, MODES[mode])


@pytest.mark.parametrize("word", ["authenticated", "encrypted"])
@pytest.mark.parametrize("framing", ["wrapper", "hdlc"])
async def test_a_peer_reads_and_writes_our_meter_under_a_weaker_policy(run_peer, framing, word):
    policy = policy_from_words([word])
    result, server = await run_peer("peer_gurux.py", framing, MODES["GMAC"], policy=policy)
    check(result, server, MODES["GMAC"])


@pytest.mark.parametrize("suite", [1, 2])
async def test_a_peer_agrees_on_the_same_keys_as_our_meter(run_peer, monkeypatch, suite):
    installed = []
    install = Channel.install

    def watch(channel, keys, peer_title):
        installed.append(keys)
        return install(channel, keys, peer_title)

    monkeypatch.setattr(Channel, "install", watch)
    result, _ = await run_peer("peer_pydlms.py", "wrapper", MODES["ECDSA and glo"], suite=suite, agree=True)
    assert result == {"0": bytes(installed[0].unicast).hex(), "2": bytes(installed[0].authentication).hex()}
