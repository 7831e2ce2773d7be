"""Takes out of a shared library what no process ever loads: symbols and line numbers for debuggers.

Wheels often carry them (26 of 79 MB here, 14 in uvloop alone), and a slim base image has no `strip`. What is loaded is
said by the program headers and lies before the rest; the rule: nothing within it is touched.
Source: System V ABI, chapter 4 and 5 (https://refspecs.linuxfoundation.org/elf/gabi4+/contents.html).
"""

from __future__ import annotations

import os
import struct
from pathlib import Path

_MAGIC_64_BIT = b"\x7fELF\x02"
_ORDERS = {1: "<", 2: ">"}
# Of the file's header: where the program headers are; where the section headers are; how many of each, and their sizes.
_PROGRAM_HEADERS_AT, _SECTION_HEADERS_AT, _COUNTS_AT = 0x20, 0x28, 0x36
_HEADER_BYTES = 64


def drop_debug_information(path: Path) -> int:
    """Cut off what follows the last loaded byte, with the table that describes it.

    Args:
        path: a shared library of a 64-bit system; any other file is left as it is.

    Returns:
        How many bytes that saved.
    """
    with path.open("r+b") as file:
        header = file.read(_HEADER_BYTES)
        if not header.startswith(_MAGIC_64_BIT) or len(header) < _HEADER_BYTES:
            return 0
        order = _ORDERS[header[5]]
        (table_at,) = struct.unpack_from(f"{order}Q", header, _PROGRAM_HEADERS_AT)
        entry_bytes, count = struct.unpack_from(f"{order}HH", header, _COUNTS_AT)
        end: int = table_at + entry_bytes * count
        for number in range(count):
            file.seek(table_at + entry_bytes * number)
            # Type and flags, then offset, two addresses, and the size in the file.
            *_, offset, _, _, size = struct.unpack(f"{order}IIQQQQ", file.read(40))
            end = max(end, offset + size)
        before = file.seek(0, os.SEEK_END)
        file.truncate(end)
        file.seek(_SECTION_HEADERS_AT)
        file.write(struct.pack(f"{order}Q", 0))
        # Their number, and which of them has the names; between the counts of program headers and the file's end.
        file.seek(0x3C)
        file.write(struct.pack(f"{order}HH", 0, 0))
        return before - end
