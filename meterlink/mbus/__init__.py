"""M-Bus application records (EN 13757-3).

:func:`decode_telegram` reads the data of a long frame. Its records carry exact numbers, the header they came with and,
where something is wrong, a note; nothing that a meter sent is dropped.
"""

from meterlink.mbus.compact import FormatStore
from meterlink.mbus.header import Function, RecordHeader
from meterlink.mbus.quantity import Kind
from meterlink.mbus.record import Record, Records, read_records
from meterlink.mbus.telegram import Identity, Telegram, decode_telegram

__all__ = [
    "FormatStore",
    "Function",
    "Identity",
    "Kind",
    "Record",
    "RecordHeader",
    "Records",
    "Telegram",
    "decode_telegram",
    "read_records",
]
