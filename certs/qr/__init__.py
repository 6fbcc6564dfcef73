"""QR codes: drawing one, and reading those in a picture.

::

    reading.py   the caller's side: starts the child, bounds it, names what went wrong
    child.py     the child process: opens the picture and finds the codes; imports nothing of this program
    drawing.py   text -> picture (imported on its own, because it loads Pillow into this process)
"""

from certs.qr.reading import FoundCode, Reader, ReaderInfo, read, read_one, reader_info, select_one, select_ours

__all__ = ["FoundCode", "Reader", "ReaderInfo", "read", "read_one", "reader_info", "select_one", "select_ours"]
