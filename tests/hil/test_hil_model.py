"""The objects by themselves: what they hold, what they check, and the matrix of level and right."""

import datetime as dt

import pytest

from certs.levels import GRANTS, Level, Permission
from hil.meter.clients import CERTIFICATE_CLIENTS, FIELD_CLIENTS
from hil.meter.device import HeatMeter, MeterOptions
from hil.meter.eventlog import EventCode
from hil.meter.model import LOAD_PROFILE, build_model
from hil.meter.objects.base import Context, Refusal
from hil.meter.objects.image import BLOCK_SIZE, build_image
from hil.meter.physics import Fault
from hil.meter.plant import Conditions, SteadyPlant
from meterlink.cosem import axdr
from meterlink.cosem.data import boolean, date_time_octets, octet_string, structure, u8, u16, u32, visible_string
from meterlink.cosem.dates import CosemDate, CosemDateTime
from meterlink.cosem.names import CLOCK, CaptureObject, EntrySelection, RangeSelection
from meterlink.cosem.objects.classes import INTERFACE_CLASSES
from meterlink.cosem.objects.units import ScalerUnit
from meterlink.cosem.results import DataAccessResult
from meterlink.values import Obis

START = dt.datetime(2026, 11, 23, 7, 15, tzinfo=dt.UTC)
SAP_OF = {row.level: row for row in CERTIFICATE_CLIENTS.values()}


def make(**options):
    options.setdefault("plant", SteadyPlant(Conditions(1.2, 70.0, 45.0)))
    options.setdefault("history", 2)
    meter = HeatMeter(1000.0, START, MeterOptions(**options))
    return meter, build_model(meter)


def as_level(level, now=1000.0):
    return Context(now, SAP_OF[level])


def get(model, class_id, name, index=2, level=Level.CONSUMER, selection=None):
    return model.find(class_id, Obis.parse(name)).get(index, as_level(level), selection)


def put(model, class_id, name, value, level, index=2, now=1000.0):
    model.find(class_id, Obis.parse(name)).set(index, value, as_level(level, now))


def call(model, class_id, name, argument, level, index=1):
    return model.find(class_id, Obis.parse(name)).call(index, argument, as_level(level))


def refused(action, *args, **kwargs):
    with pytest.raises(Refusal) as caught:
        action(*args, **kwargs)
    return caught.value.result


def test_every_readable_attribute_is_of_the_class_and_goes_over_the_wire():
    _, model = make()
    context = as_level(Level.SERVICE)
    for item in model:
        known = INTERFACE_CLASSES[item.class_id]
        for index, attribute in item.attributes.items():
            assert 1 <= index <= len(known.attributes), f"{item.name} has no attribute {index}"
            if context.may(attribute.read):
                value = item.get(index, context)
                assert axdr.decode(axdr.encode(value)) == value
        assert set(item.methods) <= set(range(1, len(known.methods) + 1))


@pytest.mark.parametrize(
    ("name", "symbol", "scaler"),
    [
        ("6-0:1.0.0", "Wh", 0),
        ("6-0:2.0.0", "m³", -3),
        ("6-0:8.0.0", "W", 0),
        ("6-0:9.0.0", "m³/h", -3),
        ("6-0:10.0.0", "°C", -2),
        ("6-0:11.0.0", "°C", -2),
        ("6-0:12.0.0", "K", -2),
        ("0-0:96.8.0", "h", 0),
        ("6-0:0.8.0", "min", 0),
    ],
)
def test_units_and_scalers(name, symbol, scaler):
    _, model = make()
    unit = ScalerUnit.from_data(get(model, 3, name, 3))
    assert (unit.symbol, unit.scaler) == (symbol, scaler)


def test_current_values_are_what_the_measuring_part_says():
    meter, model = make()
    meter.advance(1000.0 + 60.0)
    assert get(model, 3, "6-0:10.0.0").value == 7000
    assert get(model, 3, "6-0:11.0.0").value == 4500
    assert get(model, 3, "6-0:12.0.0").value == 2500
    assert get(model, 3, "6-0:9.0.0").value == 1200
    assert get(model, 3, "6-0:8.0.0").value == round(meter.metrology.live.power)
    assert get(model, 3, "6-0:1.0.0").value == int(meter.metrology.totals.energy)
    assert get(model, 4, "6-0:8.5.0").value == round(meter.metrology.maxima.power.value)


@pytest.mark.parametrize("level", list(Level))
def test_who_may_do_what(level):
    _, model = make()
    doings = {
        Permission.READ: lambda: get(model, 3, "6-0:1.0.0", level=level),
        Permission.CONFIGURE: lambda: put(model, 1, "0-0:96.1.1", visible_string("42"), level),
        Permission.COMMISSION: lambda: call(model, 9, "0-0:10.0.1", u16(1), level),
        Permission.TEST: lambda: call(model, 9, "0-0:10.0.101", u16(1), level),
    }
    for permission, doing in doings.items():
        if permission in GRANTS[level]:
            doing()
        else:
            assert refused(doing) is DataAccessResult.READ_WRITE_DENIED


def test_the_public_client_sees_the_clock_and_the_name_and_nothing_else():
    _, model = make()
    context = Context(1000.0, CERTIFICATE_CLIENTS[16])
    readable = {
        (str(item.name), index)
        for item in model
        for index, attribute in item.attributes.items()
        if context.may(attribute.read) and index != 1
    }
    assert readable == {("0-0:1.0.0*255", 2), ("0-0:42.0.0*255", 2)}
    assert not any(context.may(method.right) for item in model for method in item.methods.values())


def test_field_clients_never_get_more_than_commissioning():
    assert all(row.permissions <= GRANTS[Level.COMMISSIONING] for row in FIELD_CLIENTS.values())
    assert not FIELD_CLIENTS[16].permissions


def test_the_clock_is_set_read_back_and_logged():
    meter, model = make()
    wanted = dt.datetime(2026, 12, 24, 18, 30, tzinfo=dt.UTC)
    put(model, 8, "0-0:1.0.0", date_time_octets(CosemDateTime.of(wanted)), Level.INSTALLATION)
    assert get(model, 8, "0-0:1.0.0").as_date_time().as_datetime() == wanted
    assert [row.code for row in meter.events.rows][-2:] == [EventCode.CLOCK_SET_FROM, EventCode.CLOCK_SET_TO]
    assert meter.security_time(1000.0) == START  # certificates are not judged by what a client has set


@pytest.mark.parametrize(
    "value",
    [
        date_time_octets(CosemDateTime(2026, 2, 30, None, 1, 2, 3)),
        date_time_octets(CosemDateTime()),
        date_time_octets(CosemDateTime(1999, 12, 31, None, 1, 2, 3, 0, 0, 0)),
        octet_string(b"short"),
        u8(7),
    ],
)
def test_a_clock_value_that_is_no_time_leaves_the_clock_alone(value):
    _, model = make()
    before = get(model, 8, "0-0:1.0.0")
    assert refused(put, model, 8, "0-0:1.0.0", value, Level.SERVICE) in {
        DataAccessResult.OTHER_REASON,
        DataAccessResult.TYPE_UNMATCHED,
    }
    assert get(model, 8, "0-0:1.0.0") == before


def test_a_time_without_a_zone_is_the_meters_own():
    _, model = make()
    put(model, 8, "0-0:1.0.0", date_time_octets(CosemDateTime(2026, 7, 1, None, 12, 0, 0)), Level.SERVICE)
    got = get(model, 8, "0-0:1.0.0").as_date_time().as_datetime()
    assert got == dt.datetime(2026, 7, 1, 11, 0, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("class_id", "name", "good", "bad"),
    [
        (1, "0-0:96.1.1", visible_string("1234"), [visible_string("12a"), visible_string("123456789"), u8(1)]),
        (
            1,
            "0-0:128.0.1",
            octet_string(CosemDate(month=6, day=30).to_bytes()),
            [octet_string(CosemDate(month=6, day=31).to_bytes()), octet_string(CosemDate(2026, 6, 30).to_bytes())],
        ),
        (3, "6-0:0.8.0", u8(15), [u8(7), u8(0), visible_string("15")]),
        (1, "0-0:128.0.2", boolean(False), [u8(1)]),
    ],
)
def test_settings_take_what_is_in_range_and_nothing_else(class_id, name, good, bad):
    meter, model = make()
    before = get(model, class_id, name)
    for value in bad:
        refused(put, model, class_id, name, value, Level.SERVICE)
        assert get(model, class_id, name) == before
    put(model, class_id, name, good, Level.SERVICE)
    assert get(model, class_id, name) != before
    assert meter.events.rows[-1].detail == 35


def test_commissioning_resets_maxima_missing_time_and_old_faults():
    meter, model = make(cycle=60.0)
    meter.metrology.set_fault(Fault.RETURN_SENSOR_OPEN, 1000.0)
    meter.advance(1000.0 + 9 * 3600)
    put(model, 1, "6-0:97.97.0", u16(0), Level.COMMISSIONING, now=1000.0 + 9 * 3600)
    assert meter.metrology.faults & Fault.LONG_TEMPERATURE_FAULT  # the sensor is still broken
    meter.metrology.clear_fault(Fault.RETURN_SENSOR_OPEN, 1000.0 + 9 * 3600)
    put(model, 1, "6-0:97.97.0", u16(0), Level.COMMISSIONING, now=1000.0 + 9 * 3600)
    assert get(model, 1, "6-0:97.97.0").value == 0
    refused(put, model, 1, "6-0:97.97.0", u16(1), Level.COMMISSIONING)
    assert get(model, 3, "0-0:128.0.4").value == 9
    call(model, 3, "0-0:128.0.4", None, Level.COMMISSIONING)
    assert get(model, 3, "0-0:128.0.4").value == 0
    call(model, 9, "0-0:10.0.1", u16(1), Level.COMMISSIONING)
    assert get(model, 4, "6-0:8.5.0", 5).value is None
    refused(call, model, 9, "0-0:10.0.1", u16(2), Level.COMMISSIONING)


def test_test_mode_counts_finely_from_when_it_began():
    meter, model = make()
    call(model, 9, "0-0:10.0.101", u16(1), Level.TEST)
    meter.advance(1000.0 + 40.0)
    litres = 1.2 * 40 / 3600 * 1e6
    assert get(model, 3, "6-0:2.6.0", level=Level.TEST).value == pytest.approx(litres, abs=1)
    assert refused(get, model, 3, "6-0:2.6.0", level=Level.COMMISSIONING) is DataAccessResult.READ_WRITE_DENIED
    call(model, 9, "0-0:10.0.102", u16(1), Level.TEST)
    assert get(model, 3, "6-0:2.6.0", level=Level.TEST).value == 0


def test_the_load_profile_is_read_whole_by_time_and_by_entry():
    meter, model = make()
    rows = get(model, 7, LOAD_PROFILE).as_items()
    assert len(rows) == 48 == get(model, 7, LOAD_PROFILE, 7).value
    assert [item.as_items()[0].value for item in get(model, 7, LOAD_PROFILE, 3).as_items()] == [8, 3, 3, 3, 3, 1]
    end = meter.metrology.hourly[-1].time
    chosen = RangeSelection.by_time(end - dt.timedelta(hours=5), end)
    assert get(model, 7, LOAD_PROFILE, selection=chosen).as_items() == rows[-6:]
    energy = CaptureObject(3, Obis.parse("6-0:1.0.0"), 2)
    narrow = RangeSelection(chosen.start, chosen.end, CLOCK, (energy,))
    assert [row.as_items() for row in get(model, 7, LOAD_PROFILE, selection=narrow).as_items()] == [
        row.as_items()[1:2] for row in rows[-6:]
    ]
    by_entry = get(model, 7, LOAD_PROFILE, selection=EntrySelection(2, 4, 1, 3)).as_items()
    assert by_entry[0].as_items() == rows[1].as_items()[:3]
    assert len(by_entry) == 3


@pytest.mark.parametrize(
    "selection",
    [
        EntrySelection(0, 3),
        EntrySelection(1, 3, 1, 7),
        EntrySelection(1, 3, 4, 3),
        RangeSelection(u8(1), u8(2)),
        RangeSelection(u8(1), u8(2), CaptureObject(3, Obis.parse("6-0:1.0.0"), 2)),
        RangeSelection.by_time(START, START).as_selection(),
    ],
)
def test_a_selection_that_cannot_be_is_refused(selection):
    _, model = make()
    refused(get, model, 7, LOAD_PROFILE, selection=selection)


def test_totals_are_stored_on_the_set_day():
    midnight = dt.datetime(2026, 12, 31, 20, 0, tzinfo=dt.UTC)
    meter = HeatMeter(0.0, midnight, MeterOptions(history=1, cycle=60.0))
    model = build_model(meter)
    before = get(model, 4, "6-0:1.2.0").value
    meter.advance(4 * 3600.0)
    after = get(model, 4, "6-0:1.2.0").value
    assert before < after <= get(model, 3, "6-0:1.0.0").value
    assert str(get(model, 4, "6-0:1.2.0", 5).as_date_time()).startswith("2027-01-01 00:00")


def test_objects_that_are_not_there_are_told_apart():
    _, model = make()
    assert refused(get, model, 3, "1-0:1.8.0") is DataAccessResult.OBJECT_UNDEFINED
    assert refused(get, model, 1, "6-0:1.0.0") is DataAccessResult.OBJECT_CLASS_INCONSISTENT
    assert refused(get, model, 3, "6-0:1.0.0", 9) is DataAccessResult.OBJECT_UNDEFINED
    assert refused(call, model, 3, "6-0:1.0.0", None, Level.SERVICE, 7) is DataAccessResult.OBJECT_UNDEFINED


def test_an_image_goes_over_in_any_order_and_shows_its_version_after_activation():
    _, model = make()
    image = build_image("2.00", bytes(range(256)) * 3)
    name, level = "0-0:44.0.0", Level.COMMISSIONING
    assert (
        refused(call, model, 18, name, structure(octet_string(b"fw"), u32(9)), Level.CONSUMER)
        is DataAccessResult.READ_WRITE_DENIED
    )
    call(model, 18, name, structure(octet_string(b"fw"), u32(len(image))), level)
    blocks = [image[at : at + BLOCK_SIZE] for at in range(0, len(image), BLOCK_SIZE)]
    for number in (1, 0, 3):
        call(model, 18, name, structure(u32(number), octet_string(blocks[number])), level, 2)
    assert get(model, 18, name, 3).value == "1101"
    assert get(model, 18, name, 4).value == 2
    refused(call, model, 18, name, None, level, 3)  # a block is missing
    refused(call, model, 18, name, structure(u32(2), octet_string(b"short")), level, 2)
    call(model, 18, name, structure(u32(2), octet_string(blocks[2])), level, 2)
    refused(call, model, 18, name, None, level, 4)  # not verified yet
    call(model, 18, name, None, level, 3)
    assert len(get(model, 18, name, 7).as_items()) == 1
    call(model, 18, name, None, level, 4)
    assert get(model, 1, "6-0:0.2.0").value == "2.00"


def test_an_altered_image_is_not_activated():
    _, model = make()
    image = bytearray(build_image("6.66", b"x" * 50))
    image[20] ^= 1
    name, level = "0-0:44.0.0", Level.SERVICE
    call(model, 18, name, structure(octet_string(b"fw"), u32(len(image))), level)
    call(model, 18, name, structure(u32(0), octet_string(bytes(image))), level, 2)
    refused(call, model, 18, name, None, level, 3)
    refused(call, model, 18, name, None, level, 4)
    assert get(model, 1, "6-0:0.2.0").value == "1.04"
