"""Key agreement on the Security setup object, as it goes over the association (IC 64, method 3 key_agreement).

The parameters and the answer are the same: an array of structures of key id (enum) and key data (octet-string), the
ephemeral public key with its signature.
"""

from __future__ import annotations

from typing import Final

from meterlink.cosem import data as cosem
from meterlink.cosem.data import Data
from meterlink.cosem.names import Method
from meterlink.errors import ProtocolError, SecurityError
from meterlink.security.key_agreement import Offer
from meterlink.security.keys import KeyId
from meterlink.values import Obis

SECURITY_SETUP_CLASS: Final = 64
_KEY_AGREEMENT: Final = 3

AGREED: Final = (KeyId.UNICAST, KeyId.AUTHENTICATION)
"""The keys that a session agrees on."""


def key_agreement(security_setup: Obis) -> Method:
    """Return the method."""
    return Method(SECURITY_SETUP_CLASS, security_setup, _KEY_AGREEMENT)


def offers_to_data(offers: tuple[Offer, ...]) -> Data:
    """Return offers as they are sent."""
    return cosem.array(cosem.structure(cosem.enum_(offer.key_id), cosem.octet_string(offer.data)) for offer in offers)


def offers_from_data(data: Data) -> tuple[Offer, ...]:
    """Read offers. Raises SecurityError (``key-agreement``) for anything else."""
    try:
        offers = []
        for item in data.as_items():
            key_id, content = item.as_structure(2)
            offers.append(Offer(KeyId(key_id.as_int()), content.as_bytes()))
        return tuple(offers)
    except (ProtocolError, ValueError):
        raise SecurityError("what came is not an offer of keys", code="key-agreement") from None
