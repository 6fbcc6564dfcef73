"""IEC 62056-21 text data sets.

:func:`read_telegrams` takes a captured readout apart, :func:`read_datasets` its data block, and
:mod:`meterlink.readout.values` reads the numbers and dates inside the parentheses. What a code means is the business
of a meter's profile.
"""

from meterlink.readout.datasets import DamagedText, DataSet, DataValue, read_datasets
from meterlink.readout.telegram import BlockCheck, Identification, TextTelegram, block_check, read_telegrams
from meterlink.readout.values import read_date, read_moment, read_number, read_set_day

__all__ = [
    "BlockCheck",
    "DamagedText",
    "DataSet",
    "DataValue",
    "Identification",
    "TextTelegram",
    "block_check",
    "read_datasets",
    "read_date",
    "read_moment",
    "read_number",
    "read_set_day",
    "read_telegrams",
]
