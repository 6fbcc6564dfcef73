"""APDUs without what must not be shared. What is put into a view is known to be harmless; the rest stays blank."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

from meterlink.cosem import apdu as xdlms
from meterlink.cosem.acse import Aare, Aarq, Rlre, Rlrq
from meterlink.cosem.apdu import InitiateRequest, action, get
from meterlink.cosem.apdu import set as set_
from meterlink.cosem.apdu.general_block import GeneralBlock
from meterlink.cosem.apdu.notification import DataNotification, EventNotification
from meterlink.cosem.data import Data, Tag
from meterlink.cosem.names import Attribute, CaptureObject, EntrySelection, RangeSelection, Selection
from meterlink.cosem.results import ActionResponse
from meterlink.errors import MeterlinkError, ProtocolError
from meterlink.security.ciphered import GENERAL_CIPHERING, GENERAL_SIGNING, Ciphering, is_ciphered
from meterlink.security.control import SecurityControl
from meterlink.security.general_ciphering import KeyInfo
from meterlink.security.octets import read_length, read_octet_string
from meterlink.tracing.apdus import MAX_DEPTH, TracedApdu
from meterlink.tracing.dialogue import Dialogue, Names, Value, Values, Whole, block_of, read_whole
from meterlink.tracing.harmless import (
    CONTAINERS,
    MASK,
    Keep,
    Masker,
    is_buffer,
    is_identity,
    keep_of,
    numbers_of,
    octets_of,
    with_items,
)
from meterlink.tracing.view import View, joined
from meterlink.values import Obis

_ACSE: Final[dict[int, type[Aarq | Aare | Rlrq | Rlre]]] = {kind.TAG: kind for kind in (Aarq, Aare, Rlrq, Rlre)}
_HARMLESS_FIELDS: Final[dict[int, frozenset[int]]] = {
    Aarq.TAG: frozenset({0xA1, 0x8B}),
    Aare.TAG: frozenset({0xA1, 0xA2, 0xA3, 0x89}),
    Rlrq.TAG: frozenset({0x80}),
    Rlre.TAG: frozenset({0x80}),
}
"""Context, mechanism, result, diagnostic and reason. ``_LONGEST_FIELD`` bounds them."""

_LONGEST_FIELD: Final = 9
_REQUIREMENTS: Final = (0x88, 0x8A)
_AUTHENTICATED: Final = b"\x07\x80"
_TITLE_FIELDS: Final[dict[int, int]] = {Aarq.TAG: 0xA6, Aare.TAG: 0xA4}
_USER_INFORMATION: Final = 0xBE

_FRONT: Final = 5
"""Security control byte and invocation counter."""

_PROOF: Final = 12
"""Octets of the authentication tag."""

_PROFILE, _CAPTURE_OBJECTS = 7, 3

_LEAST_TEXT, _LEAST_NUMBER = 4, 10_000
"""Shorter texts and smaller numbers are not looked for in what stays: they would be found everywhere."""


class Cleaner:
    """Cleans the APDUs of a trace, one after the other.

    ``texts`` and ``numbers`` are what named or opened the meter somewhere in the trace; what was found of it is in
    :attr:`texts` and :attr:`numbers`, so that a second pass finds it everywhere.
    """

    def __init__(self, texts: frozenset[bytes] = frozenset(), numbers: frozenset[int] = frozenset()) -> None:
        self.texts: set[bytes] = set()
        self.numbers: set[int] = set()
        self._masker = Masker(texts, numbers)
        self._dialogue: Dialogue[View] = Dialogue()
        self._columns: dict[Obis, tuple[CaptureObject, ...]] = {}
        self._depth = 0

    def forget(self) -> None:
        """Begin anew: another connection follows."""
        self._dialogue.forget()

    def clean(self, apdu: TracedApdu, view: View) -> None:
        """Put what is harmless of the APDU in ``view`` in its place. Never raises for what was captured."""
        self._depth += 1
        try:
            self._clean(apdu, view)
        except MeterlinkError:
            self._dialogue.unclear(apdu)
            view.put(0, bytes((MASK,)) * len(view.data))
        finally:
            self._depth -= 1

    def _clean(self, apdu: TracedApdu, view: View) -> None:
        data = view.data
        if self._depth > MAX_DEPTH:
            raise ProtocolError("an APDU is wrapped too often")
        if data[:1] and data[0] in _ACSE:
            self._dialogue.associate(apdu)
            self._acse(apdu, view)
        elif data[:1] and data[0] in (GENERAL_CIPHERING, GENERAL_SIGNING):
            self._general(apdu, view)
        elif is_ciphered(data):
            self._ciphered(apdu, view)
        else:
            self._plain(apdu, view, xdlms.decode(data))

    # what opens and closes an association

    def _acse(self, apdu: TracedApdu, view: View) -> None:
        data = view.data
        kind = data[0]
        message = _ACSE[kind].from_bytes(data)
        if isinstance(message, Aarq) and not message.mechanism.is_high and message.secret:
            self._remember(message.secret)
        _, start = read_length(data, 1)
        view.keep(0, start)
        for tag, at, end in _elements(data, start):
            start, content = _content(data, at, end)
            view.keep(at, start)
            if tag in _REQUIREMENTS:
                view.put(start, _AUTHENTICATED if content == _AUTHENTICATED else b"")
            elif tag in _HARMLESS_FIELDS[kind] and end - start <= _LONGEST_FIELD:
                view.keep(start, end)
            else:
                self._element(apdu, view.part(start, end), tag, kind)

    def _element(self, apdu: TracedApdu, view: View, tag: int, kind: int) -> None:
        """Clean a field that holds one element: a title, a certificate, a secret, user information."""
        start, content = _content(view.data, 0, len(view.data))
        if start + len(content) != len(view.data):
            return
        view.keep(0, start)
        if tag == _USER_INFORMATION:
            inner = view.part(start, len(view.data))
            if is_ciphered(content):
                self._ciphered(apdu, inner)
            else:
                self._initiate(inner)
        elif tag == _TITLE_FIELDS.get(kind):
            self._title(view, start, content)

    def _initiate(self, view: View) -> None:
        data = view.data
        message = xdlms.decode(data)
        view.keep(0, len(data))
        if isinstance(message, InitiateRequest) and message.dedicated_key:
            at = data.index(bytes(message.dedicated_key), 2)
            view.put(at, bytes((MASK,)) * len(message.dedicated_key))

    def _title(self, view: View, at: int, title: bytes) -> None:
        view.put(at, self._masker.title(title))
        self._remember(title)

    def _remember(self, text: bytes) -> None:
        if len(text) >= _LEAST_TEXT:
            self.texts.add(bytes(text))

    # protected APDUs

    def _ciphered(self, apdu: TracedApdu, view: View) -> None:
        data, at = view.data, 1
        view.keep(0, 1)
        if any(data[0] == ciphering.general_tag for ciphering in Ciphering):
            at = self._party(view, at)
        self._protected(apdu, view, at)

    def _general(self, apdu: TracedApdu, view: View) -> None:
        data = view.data
        view.keep(0, 1)
        at = self._opaque(view, 1, keep=True)  # the transaction identifier
        for _ in ("originator", "recipient"):
            at = self._party(view, at)
        for _ in ("date and time", "other information"):
            at = self._opaque(view, at)
        if data[0] == GENERAL_CIPHERING:
            info, end = KeyInfo.read(data, at)
            view.keep(at, end - len(info.data))
            self._protected(apdu, view, end)
            return
        content, end = read_octet_string(data, at)
        start = end - len(content)
        view.keep(at, start)
        self.clean(apdu, view.part(start, end))
        self._opaque(view, end)

    def _party(self, view: View, at: int) -> int:
        """Clean the system title at offset ``at``; return the offset behind it."""
        title, end = read_octet_string(view.data, at)
        view.keep(at, end - len(title))
        self._title(view, end - len(title), title)
        return end

    @staticmethod
    def _opaque(view: View, at: int, *, keep: bool = False) -> int:
        octets, end = read_octet_string(view.data, at)
        view.keep(at, end if keep and len(octets) <= 8 else end - len(octets))
        return end

    def _protected(self, apdu: TracedApdu, view: View, at: int) -> None:
        """Let what is encrypted stay: without its system title nobody opens it. What is only authenticated is read."""
        content, end = read_octet_string(view.data, at)
        start = end - len(content)
        if end != len(view.data) or len(content) < _FRONT:
            raise ProtocolError("octets follow a protected message, or are missing", code="malformed")
        control = SecurityControl.from_byte(content[0])
        view.keep(at, start + _FRONT)
        if control.encrypted:
            self._dialogue.unclear(apdu)
            view.keep(start, end)
        elif not control.compressed:
            self.clean(apdu, view.part(start + _FRONT, end - _PROOF * control.authenticated))

    # plain APDUs

    def _plain(self, apdu: TracedApdu, view: View, message: xdlms.Apdu) -> None:
        names, whole = self._dialogue.take(apdu, message, _block_view(view, message))
        if isinstance(message, GeneralBlock):
            view.keep(0, len(view.data) - len(message.content))
        elif isinstance(message, InitiateRequest):
            self._initiate(view)
        elif block_of(message) is not None:
            clean = self._masked(message, ()).to_bytes()
            at = len(view.data) - len(_block_view(view, message).data)
            if len(clean) == len(view.data):
                view.put(0, clean[:at])
        else:
            clean = self._masked(message, names).to_bytes()
            if len(clean) == len(view.data):
                view.put(0, clean)
        if whole is not None:
            self._whole(whole)

    def _whole(self, whole: Whole[View]) -> None:
        view = joined(whole.pieces)
        if whole.service == "general":
            self.clean(whole.apdu, view)
            return
        try:
            values, write = read_whole(whole)
            clean = write(self._values(whole.names, values))
        except MeterlinkError:
            return
        if len(clean) == len(view.data):
            view.put(0, clean)

    def _masked(self, message: Any, names: Names) -> Any:
        """Return ``message`` with masked values; what is not listed here has none."""
        match message:
            case get.GetResponseNormal(result=result):
                return replace(message, result=self._values(names, (result,))[0])
            case get.GetResponseWithList(results=results):
                return replace(message, results=self._values(names, results))
            case set_.SetRequestNormal(value=value):
                message = replace(message, value=self._values(names, (value,))[0])
            case set_.SetRequestWithList(values=values):
                message = replace(message, values=self._values(names, values))
            case action.ActionRequestNormal(parameters=Data() as value):
                return replace(message, parameters=self._values(names, (value,))[0])
            case action.ActionRequestWithList(parameters=values):
                return replace(message, parameters=self._values(names, values))
            case action.ActionResponseNormal(response=response):
                return replace(message, response=self._values(names, (response,))[0])
            case action.ActionResponseWithList(responses=responses):
                return replace(message, responses=self._values(names, responses))
            case DataNotification(body=body):
                return replace(message, body=self._masker.mask(body, Keep.STAMPS))
            case EventNotification(attribute=attribute, value=value):
                return replace(message, value=self._values((attribute,), (value,))[0])
        if hasattr(message, "attribute"):
            return replace(message, attribute=self._selected(message.attribute))
        if hasattr(message, "attributes"):
            return replace(message, attributes=tuple(map(self._selected, message.attributes)))
        return message

    def _selected(self, attribute: Attribute) -> Attribute:
        """Return ``attribute`` with its selection masked: rows may be chosen by what they hold."""
        selection = attribute.selection
        if selection is None or isinstance(selection, EntrySelection):
            return attribute
        keep = Keep.SMALL | Keep.NAMES | Keep.STAMPS if isinstance(selection, RangeSelection) else Keep.NOTHING
        found = selection.as_selection()
        return replace(attribute, selection=Selection(found.selector, self._masker.mask(found.parameters, keep)))

    def _values(self, names: Names, values: Values) -> Any:
        """Return ``values`` masked, each as its name allows; none stays where nobody knows whose they are."""
        known = names if len(names) == len(values) else (None,) * len(values)
        return tuple(self._value(name, value) for name, value in zip(known, values, strict=True))

    def _value(self, name: Any, value: Value) -> Value:
        if isinstance(value, ActionResponse):
            return replace(value, data=self._data(name, value.data)) if isinstance(value.data, Data) else value
        return self._data(name, value) if isinstance(value, Data) else value

    def _data(self, name: Any, value: Data) -> Data:
        if name is None:
            return self._masker.mask(value, Keep.NOTHING)
        if is_identity(name):
            self.texts.update(octets for octets in octets_of(value) if len(octets) >= _LEAST_TEXT)
            self.numbers.update(number for number in numbers_of(value) if number >= _LEAST_NUMBER)
        if is_buffer(name):
            return self._buffer(name, value)
        if (name.class_id, name.index) == (_PROFILE, _CAPTURE_OBJECTS):
            self._learn_columns(name.instance, value)
        return self._masker.mask(value, keep_of(name))

    # profiles

    def _learn_columns(self, instance: Obis, value: Data) -> None:
        try:
            self._columns[instance] = tuple(CaptureObject.from_data(item) for item in value.as_items())
        except ProtocolError:
            self._columns.pop(instance, None)

    def _buffer(self, name: Attribute, value: Data) -> Data:
        """Return the rows of a profile, each column masked as the attribute that it captures."""
        if value.tag not in CONTAINERS:
            return self._masker.mask(value, Keep.NOTHING)
        columns = self._columns_of(name)
        return with_items(value, (self._row(row, columns) for row in value.as_items()))

    def _columns_of(self, name: Attribute) -> tuple[CaptureObject, ...]:
        columns = self._columns.get(name.instance, ())
        match name.selection:
            case RangeSelection(columns=chosen) if chosen:
                return chosen
            case EntrySelection(first_column=first, last_column=last):
                return columns[max(first - 1, 0) : last or None]
        return columns

    def _row(self, row: Data, columns: tuple[CaptureObject, ...]) -> Data:
        items = tuple(row.as_items()) if row.tag is Tag.STRUCTURE else ()
        if not items or len(items) != len(columns):
            return self._masker.mask(row, Keep.STAMPS)
        keeps = (keep_of(Attribute(column.class_id, column.instance, column.index)) for column in columns)
        return with_items(row, map(self._masker.mask, items, keeps))


def _block_view(view: View, message: xdlms.Apdu) -> View:
    """Return where the content of a block stands, which is always at the end; the whole APDU where it is none."""
    block = block_of(message)
    content = message.content if isinstance(message, GeneralBlock) else block[1][2] if block else view.data
    return view.part(len(view.data) - len(content), len(view.data))


def _elements(data: bytes, at: int) -> Iterator[tuple[int, int, int]]:
    """Yield the tags of the elements from offset ``at`` on, and where each begins and ends."""
    while at < len(data):
        _, end = read_octet_string(data, at + 1)
        yield data[at], at, end
        at = end


def _content(data: bytes, at: int, end: int) -> tuple[int, bytes]:
    """Return the offset and the octets of the content of the element at offset ``at``."""
    length, start = read_length(data[:end], at + 1)
    return start, data[start : start + length]
