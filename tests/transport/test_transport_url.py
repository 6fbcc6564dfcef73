"""URLs: what is understood, and what is refused with the list of what is known."""

from __future__ import annotations

import importlib.metadata

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from meterlink.errors import UsageError
from meterlink.transport import url as url_module
from meterlink.transport.base import Transport
from meterlink.transport.memory import pair
from meterlink.transport.url import SECRET_KEYS, Context, Options, TransportUrl, open_transport, parse_url, schemes


def test_a_path_and_its_keys() -> None:
    url = parse_url("serial:/dev/ttyUSB0?baud=9600&parity=E")
    assert (url.scheme, url.target, dict(url.options)) == ("serial", "/dev/ttyUSB0", {"baud": "9600", "parity": "E"})


def test_a_bluetooth_address_keeps_its_colons() -> None:
    assert parse_url("ble:F0:F1:F2:F3:F4:F5").target == "F0:F1:F2:F3:F4:F5"
    assert parse_url("ble:").target == ""


def test_percent_encoding_is_undone() -> None:
    assert parse_url("ble:Heat%20meter%3F?service=n%26s") == TransportUrl("ble", "Heat meter?", {"service": "n&s"})


@given(
    st.text(),
    st.dictionaries(st.text(min_size=1).filter(lambda key: key not in SECRET_KEYS), st.text(), max_size=3),
    st.booleans(),
)
def test_a_url_that_is_shown_can_be_given_again(target: str, options: dict[str, str], has_authority: bool) -> None:
    assume(not (has_authority and "@" in target))
    url = TransportUrl("ble", target, options, has_authority)
    assert str(url).isprintable()
    assert parse_url(str(url)) == url


def test_a_user_in_a_url_is_not_shown() -> None:
    url = parse_url("tcp://anna:secret@meter.example:4059")
    assert str(url) == "tcp://...@meter.example:4059"
    with pytest.raises(UsageError) as caught:
        url.host_port()
    assert "secret" not in caught.value.message


def test_a_name_with_letters_of_any_script_is_shown_as_it_is() -> None:
    assert str(TransportUrl("ble", "Wärme 42%", {})) == "ble:Wärme 42%25"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("tcp://meter.example:4059", ("meter.example", 4059)),
        ("tcp://[fe80::1%25eth0]:4059", ("fe80::1%eth0", 4059)),
        ("TCP://10.0.0.1:1/", ("10.0.0.1", 1)),
    ],
)
def test_host_and_port(text: str, expected: tuple[str, int]) -> None:
    assert parse_url(text).host_port() == expected


def test_default_port() -> None:
    assert parse_url("tcp://meter").host_port(4059) == ("meter", 4059)


@pytest.mark.parametrize("text", ["tcp://:4059", "tcp://a:0", "tcp://a:65536", "tcp://a", "tcp:a:1", "tcp://a:b:1"])
def test_a_host_or_port_that_cannot_be(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_url(text).host_port()
    assert caught.value.code == "url-invalid"


@pytest.mark.parametrize(
    "text", ["", "meter", "/dev/ttyUSB0", "://x", "serial:/dev/x?baud", "serial:x?a=1&a=2", "a:?=1"]
)
def test_what_is_no_url_is_refused(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_url(text)
    assert caught.value.code == "url-invalid"
    assert caught.value.hint


def test_an_unknown_scheme_names_the_known_ones() -> None:
    with pytest.raises(UsageError, match="no transport 'modbus'") as caught:
        open_transport("modbus:1")
    assert all(f"{scheme}:" in str(caught.value.hint) for scheme in schemes())


def test_an_unknown_key_names_the_known_ones() -> None:
    with pytest.raises(UsageError, match="no key 'bauds'") as caught:
        open_transport("tcp://127.0.0.1:1?bauds=9600&framing=hdlc")
    assert caught.value.code == "url-invalid"
    assert "framing" in str(caught.value.hint)
    assert "connect-timeout" in str(caught.value.hint)


def test_secrets_are_not_shown() -> None:
    assert "123456" not in str(parse_url("ble:X?passkey=123456&service=nus"))


class TestOptions:
    def read(self, text: str) -> Options:
        return Options(parse_url(f"x:?{text}"))

    def test_values(self) -> None:
        options = self.read("i=7&n=0.5&c=NUS&f=off&t=a")
        assert options.integer("i", 1, 0, 9) == 7
        assert options.number("n", 1.0, 0.0, 1.0) == 0.5
        assert options.choice("c", "a", ("nus", "hm10")) == "nus"
        assert options.flag("f", True) is False
        assert options.maybe_flag("g") is None
        assert options.text("t") == "a"
        assert options.integer("absent", 3, 0, 9) == 3
        options.finish()

    @pytest.mark.parametrize("text", ["i=x", "i=10", "i=-1", "i=1.5"])
    def test_a_number_out_of_range(self, text: str) -> None:
        with pytest.raises(UsageError, match=r"a number 0\.\.9"):
            self.read(text).integer("i", 1, 0, 9)

    def test_a_word_that_is_none_of_the_allowed(self) -> None:
        with pytest.raises(UsageError, match="one of nus, hm10"):
            self.read("c=uart").choice("c", "nus", ("nus", "hm10"))

    def test_a_flag_that_is_neither(self) -> None:
        with pytest.raises(UsageError, match="yes or no"):
            self.read("f=maybe").flag("f", True)


def test_a_third_party_adds_a_transport_by_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = importlib.metadata.EntryPoint("loop", f"{__name__}:open_loop", url_module.GROUP)

    def found(**wanted: str) -> list[importlib.metadata.EntryPoint]:
        return [entry] if wanted.get("name", "loop") == "loop" else []

    monkeypatch.setattr(url_module, "entry_points", found)
    assert "loop" in schemes()
    assert open_transport("loop:?size=2").url == "memory:left"
    with pytest.raises(UsageError, match="no key 'sise'"):
        open_transport("loop:?sise=2")


def open_loop(url: TransportUrl, options: Options, context: Context) -> Transport:
    return pair(options.integer("size", 2, 2, 1000))[0]


@given(st.text(max_size=60))
def test_any_text_gives_a_url_or_our_error(text: str) -> None:
    try:
        url = parse_url(text)
    except UsageError as error:
        refused = error.code
        assert refused == "url-invalid"  # either outcome is right, so pytest.raises does not fit
    else:
        assert text.lower().startswith(url.scheme + ":")
