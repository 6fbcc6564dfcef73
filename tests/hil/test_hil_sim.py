"""``sim:heat`` as a URL among others."""

import pytest

from certs.domain import default_domain
from hil.trust import shipped_identity
from meterlink.cosem.association import AssociationConfig, ClientAssociation
from meterlink.cosem.data import date_time_octets
from meterlink.cosem.names import Attribute
from meterlink.errors import MeterRefused, UsageError
from meterlink.framing.hdlc import HdlcLink
from meterlink.framing.link import Role
from meterlink.framing.wrapper import WrapperLink
from meterlink.session import Session
from meterlink.transport.url import open_transport
from meterlink.values import Obis

NAME = Attribute(1, Obis.parse("0-0:42.0.0"), 2)
CLOCK = Attribute(8, Obis.parse("0-0:1.0.0"), 2)


def public_session(url, link):
    return Session(open_transport(url), link, ClientAssociation(AssociationConfig()))


@pytest.mark.parametrize(
    ("url", "link", "serial"),
    [
        ("sim:heat", lambda: HdlcLink(Role.CLIENT, client_address=16), b"00000001"),
        ("sim:heat?seed=7", lambda: HdlcLink(Role.CLIENT, client_address=16), b"00000007"),
        ("sim:heat?framing=wrapper", lambda: WrapperLink(Role.CLIENT, client_sap=16, server_sap=1), b"00000001"),
    ],
)
async def test_the_public_client_reads_name_and_clock(url, link, serial):
    async with public_session(url, link()) as session:
        assert (await session.get(NAME)).value.endswith(serial)
        clock = await session.get(CLOCK)
        with pytest.raises(MeterRefused):
            await session.set(CLOCK, date_time_octets(clock.as_date_time()))


@pytest.mark.parametrize("url", ["sim:water", "sim:", "sim:heat?seed=x", "sim:heat?colour=red"])
def test_what_cannot_be_simulated_is_refused(url):
    with pytest.raises(UsageError) as caught:
        open_transport(url)
    assert caught.value.code == "url-invalid"


def test_the_meter_is_one_of_the_default_domain_and_says_that_it_is_simulated():
    identity = shipped_identity()
    assert identity.domain.id == default_domain().id
    assert "simulated" in identity.certificate.subject.rfc4514_string()
