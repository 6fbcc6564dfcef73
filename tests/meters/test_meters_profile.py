"""Profile files: read strictly, so that a slip of the pen is found at once."""

from __future__ import annotations

import pytest

from meterlink.errors import DataError, UsageError
from meterlink.meters.profile import profile, profiles, read_profile
from meterlink.transport.base import LineSettings

SMALL = 'name = "x"\ntitle = "X"\nprotocol = "text"\n'


def test_every_profile_of_the_package_is_sound() -> None:
    names = [item.name for item in profiles()]
    assert len(names) == len(set(names))
    assert {"t550", "generic-text"} <= set(names)


def test_the_t550_profile() -> None:
    t550 = profile("T550")
    assert t550.line is not None
    assert t550.line.start == LineSettings(300, 7, "E", 1)
    assert t550.line.requests == (b"/#!\r\n", b"/?!\r\n")
    assert {flag.code for flag in t550.flags} == {f"F{n}" for n in range(10)}


def test_cosem_profiles_have_saps_and_objects() -> None:
    text = 'name = "c"\ntitle = "C"\nprotocol = "cosem"\n[saps]\nConsumer = 32\n'
    text += '[[objects]]\nname = "energy"\nobis = "6-0:1.0.0*255"\nclass = 3\nattribute = 2\n'
    found = read_profile(text, "c.toml")
    assert found.saps["Consumer"] == 32
    assert (found.objects[0].class_id, found.objects[0].attribute) == (3, 2)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("name = ", "Invalid"),
        ('name = "x"\ntitle = "X"\n', "protocol"),
        (SMALL.replace("text", "telepathy"), "telepathy"),
        (SMALL + "colour = 3\n", "colour"),
        (SMALL + '[[values]]\ncode = "1"\nname = "a"\nkind = "nombre"\n', "nombre"),
        (SMALL + '[[values]]\nname = "a"\n', "code"),
        (SMALL + '[[values]]\ncode = "1"\nname = "a"\nobis = "1.8"\n', "OBIS"),
        (SMALL + '[line]\ndialogue = "text"\nstart = "fast"\ndata = "2400 7E1"\n', "fast"),
        (SMALL + "values = 3\n", "int"),
    ],
)
def test_a_faulty_profile_is_refused_and_named(text: str, word: str) -> None:
    with pytest.raises(DataError) as raised:
        read_profile(text, "broken.toml")
    assert raised.value.code == "profile"
    assert "broken.toml" in raised.value.message
    assert word in raised.value.message


def test_an_unknown_profile_names_the_known_ones() -> None:
    with pytest.raises(UsageError) as raised:
        profile("t9000")
    assert "t550" in str(raised.value.hint)
