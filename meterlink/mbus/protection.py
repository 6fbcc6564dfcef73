"""Encrypted telegrams: security modes 5 and 7 (EN 13757-7, 7.6 and 9.4) and the authentication layer (6.3).

Mode 5 is AES-128 in CBC mode with an initial vector made of the meter's address and the access number. Mode 7 derives
a key for each message from a counter (key derivation function A) and has an initial vector of zero; the message counter
and a CMAC over the telegram stand in the authentication and fragmentation layer, CI 90.
"""

from __future__ import annotations

import hmac
from typing import Final, NamedTuple

from cryptography.hazmat.primitives import cmac
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from meterlink.errors import DataError

ENCRYPTED_MODES: Final = frozenset({5, 7})
OTHER_MODES: Final = {
    1: "the manufacturer's own",
    2: "DES",
    3: "DES",
    4: "AES-128, static vector",
    8: "AES-128 CTR",
    9: "AES-128 GCM",
    10: "AES-128 CCM",
    13: "TLS",
}
"""Security modes that exist and are not opened here. The numbers that are left are not assigned."""
KEY_LENGTH: Final = 16
_BLOCK: Final = 16
_CHECK: Final = b"\x2f\x2f"
"""Two idle fillers lead the plain text, so that a wrong key is noticed."""

_ENCRYPTION, _AUTHENTICATION = 0x00, 0x01
_MAC_LENGTHS: Final = {0: 0, 3: 2, 4: 4, 5: 8, 6: 12, 7: 16}
_MCLP, _MLP, _MCRP, _MACP, _KIP = 0x2000, 0x1000, 0x0800, 0x0400, 0x0200
_COUNTER_IN_HEADER: Final = 0x2000
_KEY_VERSION_IN_HEADER: Final = 0x40


class Protection(NamedTuple):
    """The authentication layer of a message: ``counter`` is None where it carries none, ``covered`` what the code
    ``mac`` is over."""

    counter: int | None
    mac: bytes
    covered: bytes


def read_authentication_layer(data: bytes) -> tuple[Protection, int, bytes]:
    """Read the layer that follows CI 90; return it with the CI field and the data inside.

    Raises DataError ``mbus-authentication``: cut off, fragmented, or with an unknown kind of authentication.
    """
    if not data or len(data) < data[0] + 2 or data[0] < 2:
        raise _broken("the authentication layer is cut off")
    layer, rest = data[1 : data[0] + 1], data[data[0] + 1 :]
    control = int.from_bytes(layer[:2], "little")
    if control & 0xFF or control & 0x4000:
        raise _broken("a message in several fragments is not supported")
    position, covered = 2, b""
    counter: int | None = None
    mac_length = 0
    if control & _MCLP:
        covered += layer[position : position + 1]
        kind = layer[position] & 0x0F if position < len(layer) else 0
        if kind not in _MAC_LENGTHS:
            raise _broken(f"authentication type {kind} is not supported")
        mac_length = _MAC_LENGTHS[kind]
        position += 1
    if control & _KIP:
        covered += layer[position : position + 2]
        position += 2
    if control & _MCRP:
        covered += layer[position : position + 4]
        counter = int.from_bytes(layer[position : position + 4], "little")
        position += 4
    mac = layer[position : position + mac_length] if control & _MACP else b""
    position += len(mac)
    if control & _MLP:
        covered += layer[position : position + 2]
        position += 2
    if position != len(layer):
        raise _broken("the length of the authentication layer does not fit its fields")
    return Protection(counter, mac, covered + rest), rest[0], rest[1:]


def unprotect(
    mode: int, header: bytes, configuration: int, data: bytes, key: bytes, protection: Protection | None
) -> bytes:
    """Return the plain records of an encrypted telegram.

    ``header`` is the long header of twelve octets in front of ``data``. Raises DataError ``wrong-key`` when the key
    does not open it, ``mbus-authentication`` when the code over the message does not hold or what is needed is missing.
    """
    if len(key) != KEY_LENGTH:
        raise DataError(f"a key has {KEY_LENGTH} octets, not {len(key)}", code="wrong-key")
    if len(header) < 12:
        raise _broken("without a long header the meter's address, which the key needs, is not known")
    if mode == 5:
        vector = header[4:6] + header[:4] + header[6:8] + header[8:9] * 8
        return _decrypt(key, vector, configuration, data)
    return _unprotect_7(header, configuration, data, key, protection)


def _unprotect_7(header: bytes, configuration: int, data: bytes, key: bytes, protection: Protection | None) -> bytes:
    """Mode 7. The configuration field goes on with an octet that names the key, and may bring counter and version."""
    if not data:
        raise _broken("the configuration field is cut off")
    extension, data = data[0], data[1:]
    counter = None if protection is None else protection.counter
    if configuration & _COUNTER_IN_HEADER:
        counter, data = int.from_bytes(data[:4], "little"), data[4:]
    if extension & _KEY_VERSION_IN_HEADER:
        data = data[1:]
    derived = bool(extension >> 4 & 0x03)
    if derived and counter is None:
        raise _broken("the message counter, which the key needs, is missing")
    if protection is not None and protection.mac:
        mac_key = _derive(key, _AUTHENTICATION, counter or 0, header[:4]) if derived else key
        if not hmac.compare_digest(_cmac(mac_key, protection.covered)[: len(protection.mac)], protection.mac):
            raise _broken("the authentication code of the message does not hold: a wrong key, or a changed message")
    message_key = _derive(key, _ENCRYPTION, counter or 0, header[:4]) if derived else key
    return _decrypt(message_key, bytes(_BLOCK), configuration, data)


def _derive(key: bytes, purpose: int, counter: int, number: bytes) -> bytes:
    """Key derivation function A (9.6.2)."""
    return _cmac(key, bytes((purpose,)) + counter.to_bytes(4, "little") + number + b"\x07" * 7)


def _cmac(key: bytes, data: bytes) -> bytes:
    code = cmac.CMAC(algorithms.AES128(key))
    code.update(data)
    return code.finalize()


def _decrypt(key: bytes, vector: bytes, configuration: int, data: bytes) -> bytes:
    """Decrypt the blocks that the configuration field counts; what follows them is plain."""
    length = (configuration >> 4 & 0x0F) * _BLOCK
    if length > len(data):
        raise DataError("the telegram has fewer encrypted blocks than it says", code="mbus-header")
    if not length:
        return data
    decryptor = Cipher(algorithms.AES128(key), modes.CBC(vector)).decryptor()
    plain = decryptor.update(data[:length]) + decryptor.finalize()
    if not plain.startswith(_CHECK):
        raise DataError("the key does not open this telegram", code="wrong-key", hint="is it the key of this meter?")
    return plain + data[length:]


def _broken(message: str) -> DataError:
    return DataError(message, code="mbus-authentication")
