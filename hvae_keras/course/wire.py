"""Messages between the grader and a student's process: JSON, each behind its length in four bytes.

Never pickle: reading a hostile message can produce a wrong value and nothing worse.
"""

import json
import struct
from typing import BinaryIO

LARGEST_MESSAGE = 32 * 2**20
LENGTH = struct.Struct(">I")


def write_message(stream: BinaryIO, message: object) -> None:
    """Write one message: its length, then its JSON."""
    data = json.dumps(message).encode("utf-8")
    stream.write(LENGTH.pack(len(data)) + data)
    stream.flush()


def read_message(stream: BinaryIO) -> object:
    """Read one message, or None at the end of the stream or where what comes is no message."""
    header = stream.read(LENGTH.size)
    if len(header) < LENGTH.size or LENGTH.unpack(header)[0] > LARGEST_MESSAGE:
        return None
    data = stream.read(LENGTH.unpack(header)[0])
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None
