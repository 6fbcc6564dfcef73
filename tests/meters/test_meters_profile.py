"""Profile files: read strictly, so that a slip of the pen is found at once."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from meterlink.errors import DataError, UsageError
from meterlink.meters.decode import decode_capture
from meterlink.meters.profile import Device, Dialogue, profile, profiles, read_profile
from meterlink.meters.profile_file import check_together
from meterlink.meters.readers import _DIALOGUES
from meterlink.transport.base import LineSettings

SMALL = 'name = "x"\ntitle = "X"\nprotocol = "text"\n'
LINE = '[line]\ndialogue = "sign-on"\nstart = "300 7E1"\ndata = "2400 7E1"\n'
VALUE = '[[values]]\ncode = "6.8"\nname = "a"\n'


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
        (SMALL + "values = 3\n", "[[values]]"),
        (SMALL + '[values]\ncode = "1"\nname = "a"\n', "[[values]]"),
        (SMALL + "[[line]]\n", "[line] must be a table"),
        (SMALL + LINE + 'identify = ["LUGCT450"]\n', "[line] unknown key 'identify'"),
        (SMALL + LINE.replace('"sign-on"', '"txt"'), "[line] dialogue: 'txt' is none of text, sign-on"),
        (SMALL + LINE.replace('"sign-on"', '"text"'), "[line] requests: the dialogue 'text' needs some"),
        (SMALL + LINE + 'requests = ["ZZ"]\n', "[line] requests 1: 'ZZ' is neither octets in hex"),
        (SMALL + LINE + 'requests = "/?!"\n', "[line] requests must be a list: ['/?!']"),
        (SMALL + LINE + 'requests = ["/ä"]\n', "ASCII"),
        (SMALL + LINE + 'step_answers = ["78 0"]\n', "[line] step_answers 1"),
        (SMALL + LINE + "wake_byte = 999\n", "[line] wake_byte"),
        (SMALL + LINE + "wake_up = -1\n", "[line] wake_up"),
        (SMALL + LINE + 'deadline = "x"\n', "[line] deadline: 'x' is not a number"),
        (SMALL + LINE + "deadline = 0\n", "[line] deadline: 0 s is too short"),
        (SMALL + LINE + "silence = -1\n", "[line] silence"),
        (SMALL + LINE + "rest = nan\n", "[line] rest"),
        (SMALL.replace('"x"', '"T450"'), "name: 'T450' is not lower-case"),
        (SMALL.replace('"x"', "3"), "name: 3 is not a text"),
        (SMALL + 'identify = "LUGCT450"\n', "identify must be a list: ['LUGCT450']"),
        (SMALL + 'identify = ["/LUGCT450"]\n', "slash"),
        (SMALL + 'identify = [""]\n', "identify: '' is empty"),
        (SMALL + 'notes = "hello"\n', "notes must be a list"),
        (SMALL + "[units]\nm3 = 3\n", "[units] 'm3': 3 is not a text"),
        (SMALL + '[names]\n"02ff2a" = "a"\n', "[names]: '02ff2a' is not a record's header"),
        (SMALL + '[names]\n"FF 2A" = 3\n', "[names] 'FF 2A': 3 is not a text"),
        (SMALL + '[names]\n"FF 2A" = "A name"\n', "snake_case"),
        (SMALL + '[[devices]]\nmanufacturer = "ABXX"\n', "three capital letters"),
        (SMALL + '[[devices]]\nmanufacturer = "abx"\n', "three capital letters"),
        (SMALL + '[[devices]]\nmanufacturer = "ABX"\nversions = 3\n', "versions must be a list: [3]"),
        (SMALL + '[[devices]]\nmanufacturer = "ABX"\nversions = ["3"]\n', "'3' is not a whole number"),
        (SMALL + '[[devices]]\nmanufacturer = "ABX"\nmedia = [300]\n', "300 is not 0..255"),
        (SMALL + "[[values]]\ncode = 6.8\nname = 'a'\n", "[[values]] 1: code: 6.8 is not a text"),
        (SMALL + VALUE + 'part = "x"\n', "part: 'x' is not a whole number"),
        (SMALL + VALUE + "tariff = -1\n", "tariff: -1 is not 0..255"),
        (SMALL + VALUE + 'live = "no"\n', "live: 'no' is not true or false"),
        (SMALL + VALUE + 'time_code = "9.9"\n', "time_code '9.9' is the code of no value"),
        (SMALL + VALUE + VALUE, "stands twice"),
        (SMALL + VALUE.replace('"a"', '"Energy Total!"'), "snake_case"),
        (SMALL + '[[flags]]\ncode = "F1"\nmeaning = "open"\n', "[[flags]] 1: the key 'action' is missing"),
        (SMALL + "[saps]\nNobody = 32\n", "[saps]: 'Nobody' is none of"),
        (SMALL + "[saps]\nConsumer = 0\n", "[saps] Consumer: 0 is not 1..127"),
        (SMALL + '[[objects]]\nname = "a"\nobis = "6-0:1.0.0"\nclass = "3"\n', "[[objects]] 1: class: '3'"),
        (SMALL + '[[objects]]\nname = "a"\nobis = "6-0:1.0.0"\n', "the key 'class' is missing"),
        (SMALL + '[[objects]]\nname = "a"\nobis = "6-0:1.0.0"\nclass = 3\nform = "dai"\n', "'dai' is none of day"),
    ],
)
def test_a_faulty_profile_is_refused_and_named(text: str, word: str) -> None:
    with pytest.raises(DataError) as raised:
        read_profile(text, "broken.toml")
    assert raised.value.code == "profile"
    assert raised.value.message.startswith("broken.toml: ")
    assert word in raised.value.message
    assert raised.value.hint


DEVICE = '[[devices]]\nmanufacturer = "ABX"\n'


@pytest.mark.parametrize(
    ("one", "other", "word"),
    [
        ("", "", "name: the same 'x'"),
        ('identify = ["LUGC"]\n', 'identify = ["SIE", "LUGC"]\n', "identify: the same 'LUGC'"),
        ('signature = ["6.8", "9.20"]\n', 'signature = ["9.20", "6.8"]\n', "signature: the same codes"),
        ('bluetooth = ["HEAT-"]\n', 'bluetooth = ["HEAT-"]\n', "bluetooth"),
        (DEVICE, DEVICE + "versions = [7]\n", "ABX"),
        (DEVICE + "versions = [7, 8]\nmedia = [4]\n", DEVICE + "versions = [8]\n", "ABX"),
    ],
)
def test_two_families_do_not_claim_the_same_meters(one: str, other: str, word: str) -> None:
    second = SMALL if word.startswith("name") else SMALL.replace('"x"', '"y"')
    found = [
        ("one.toml", read_profile(SMALL + one, "one.toml")),
        ("two.toml", read_profile(second + other, "two.toml")),
    ]
    with pytest.raises(DataError) as raised:
        check_together(found)
    assert raised.value.message.startswith("two.toml: ")
    assert "one.toml" in raised.value.message
    assert word in raised.value.message


def test_families_that_can_be_told_apart_stand_together() -> None:
    parts = (
        'identify = ["LUGC"]\nsignature = ["6.8"]\n' + DEVICE + "versions = [7]\n",
        'identify = ["LUGCT4"]\nsignature = ["6.8", "7.77"]\n' + DEVICE + "versions = [8]\n",
        DEVICE.replace("ABX", "ABY"),
        DEVICE + "versions = [7]\nmedia = [4]\n" + DEVICE + "versions = [9]\n",
    )
    named = [(f"{n}.toml", SMALL.replace('"x"', f'"x{n}"') + part) for n, part in enumerate(parts[:3])]
    check_together([(source, read_profile(text, source)) for source, text in named])
    # Within one family headers may overlap.
    check_together([("3.toml", read_profile(SMALL + DEVICE + DEVICE, "3.toml"))])


def test_the_family_that_knows_most_of_a_readout_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    made = tuple(
        read_profile(SMALL.replace('"x"', f'"{name}"') + text, f"{name}.toml")
        for name, text in (
            ("a", 'identify = ["LUGC"]\nsignature = ["6.8"]\n'),
            ("b", 'identify = ["LUGCT4"]\nsignature = ["6.8", "7.77"]\n'),
        )
    )
    monkeypatch.setattr("meterlink.meters.text.profiles", lambda: made)
    for text, family in (
        (b"/LUGCT450\r\n6.8(1*MWh)\r\n!\r\n", "b"),
        (b"/LUGCUH50\r\n6.8(1*MWh)\r\n!\r\n", "a"),
        (b"6.8(1*MWh)\r\n7.77(1)\r\n!\r\n", "b"),
        (b"6.8(1*MWh)\r\n!\r\n", "a"),
    ):
        assert decode_capture(text).meter["family"] == family


def test_the_page_that_shows_how_to_add_a_family_shows_what_can_be_read() -> None:
    page = (Path(__file__).parents[2] / "docs" / "adding-a-meter.md").read_text("utf-8")
    chapter = page[page.index("## 2.") : page.index("## 3.")]
    lines = [line[4:] for line in chapter.splitlines() if line.startswith("    ")]
    family = read_profile("\n".join(lines), "adding-a-meter.md")
    assert (family.name, family.identify) == ("t450", ("LUGCT450",))
    assert family.line is not None
    assert [rule.code for rule in family.values] == ["6.8", "6.36.1"]
    assert (family.devices, dict(family.saps)) == ((Device("LUG", (10,), (4,)),), {"Consumer": 32})
    check_together([*((known.name, known) for known in profiles() if not known.devices), ("t450", family)])


def test_every_dialogue_that_a_profile_may_name_is_there() -> None:
    assert set(_DIALOGUES) == set(get_args(Dialogue))


def test_an_unknown_profile_names_the_known_ones() -> None:
    with pytest.raises(UsageError) as raised:
        profile("t9000")
    assert "t550" in str(raised.value.hint)
