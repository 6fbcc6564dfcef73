"""HDLC: encode and decode I frames with information fields of 64 octets and 1 kB, beside the peers."""

from __future__ import annotations

import importlib
from collections.abc import Callable

from meterlink.framing.hdlc import HdlcAddress
from meterlink.framing.hdlc.control import FrameKind, control
from meterlink.framing.hdlc.frame import HdlcFrame
from meterlink.framing.hdlc.reader import FrameReader
from tests.benchmarks.ratio import OURS, peer, rate, show

Pair = tuple[Callable[[], bytes], Callable[[], object]]
"""Encode one frame, decode one frame."""

CLIENT, SERVER, PHYSICAL = 16, 1, 17


def ours(information: bytes) -> Pair:
    """A frame object to octets; octets through the reader, which also finds its way through noise."""
    frame = HdlcFrame(
        HdlcAddress(CLIENT), HdlcAddress.of(SERVER, PHYSICAL), control(FrameKind.I, poll=True), information
    )
    data, reader = frame.to_bytes(), FrameReader()
    assert reader.feed(data) == [frame]
    return frame.to_bytes, lambda: reader.feed(data)


def gurux(information: bytes) -> Pair | None:
    """gurux-dlms: what its client calls for every frame."""
    if peer("gurux_dlms") is None:
        return None
    core, buffer, settings_of, reply_data = (
        importlib.import_module(f"gurux_dlms.{name}")
        for name in ("GXDLMS", "GXByteBuffer", "GXDLMSSettings", "GXReplyData")
    )

    def settings(is_server: bool) -> object:
        made = settings_of.GXDLMSSettings(is_server, None)
        made.clientAddress, made.serverAddress, made.serverAddressSize = CLIENT, SERVER << 7 | PHYSICAL, 2
        made.hdlc.maxInfoTX = made.hdlc.maxInfoRX = 2030
        return made

    server, client = settings(True), settings(False)

    def encode() -> bytes:
        return bytes(core.GXDLMS.getHdlcFrame(server, 0x10, buffer.GXByteBuffer(information)))

    data = encode()

    def decode() -> object:
        client.resetFrameSequence()  # type: ignore[attr-defined]
        client.receiverFrame, client.senderFrame = 0xEE, 0x10  # type: ignore[attr-defined]
        reply = reply_data.GXReplyData()
        core.GXDLMS.getHdlcData(False, client, buffer.GXByteBuffer(data), reply, None)
        return reply

    return encode, decode


def pydlms(information: bytes) -> Pair | None:
    """pydlms-client."""
    framing, address = peer("pydlms.hdlc.framing"), peer("pydlms.hdlc.address")
    if framing is None or address is None:
        return None
    data = ours(information)[0]()
    frame = framing.decode_frame(data)
    reader = framing.FrameReader()
    assert [found.info for found in reader.feed(data)] == [information]
    return lambda: framing.encode_frame(frame), lambda: reader.feed(data)


def dlms_cosem(information: bytes) -> Pair | None:
    """dlms-cosem."""
    frames, address = peer("dlms_cosem.hdlc.frames"), peer("dlms_cosem.hdlc.address")
    if frames is None or address is None:
        return None
    data = ours(information)[0]()
    client = address.HdlcAddress(logical_address=CLIENT, address_type="client")
    server = address.HdlcAddress(logical_address=SERVER, physical_address=PHYSICAL, address_type="server")

    def encode() -> bytes:
        frame = frames.InformationFrame(client, server, information, segmented=False, final=True)
        return bytes(frame.to_bytes())

    return encode, lambda: frames.InformationFrame.from_bytes(data)


def main() -> None:
    """Print the rates and the ratios."""
    makers = {OURS: ours, "gurux-dlms": gurux, "pydlms-client": pydlms, "dlms-cosem": dlms_cosem}
    for size in (64, 1024):
        pairs = {name: make(b"\xe6\xe7\x00" + bytes(size - 3)) for name, make in makers.items()}
        for index, title in enumerate(("encode", "decode")):
            show(
                f"{title} a frame with {size} octets",
                {name: None if pair is None else rate(pair[index]) for name, pair in pairs.items()},
            )


if __name__ == "__main__":
    main()
