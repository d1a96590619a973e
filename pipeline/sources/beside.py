"""Beside: rows are made in a process of their own, so that a large manifest is read on one core and stored on another.

Making rows (parsing, looking at files, spelling columns) takes half as long as storing them. A thread would gain
nothing: both are Python's work. The process is a fork, for the rows are a generator that has begun; it touches nothing
but what that reads, and leaves without cleaning up what belongs to its parent.
"""

from __future__ import annotations

import gc
import marshal
import os
import signal
import struct
import traceback
from collections.abc import Iterator
from itertools import islice
from typing import Any, BinaryIO, NoReturn

from pipeline.columns import Spelled, spell
from pipeline.errors import SetupError
from pipeline.locators import Picture
from pipeline.sources.rows import BadRow, Row, Rows

_TOGETHER = 500
_SIZE = struct.Struct("<I")
_BUFFER = 1 << 20

Plain = tuple[Any, ...]
"""a row as marshal takes it; those that cannot be used are shorter"""


def beside(rows: Rows) -> Rows:
    """The same rows; the process that makes them ends with whoever takes them."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _give(rows, writing)
    os.close(writing)
    try:
        with open(reading, "rb", buffering=_BUFFER) as pipe:  # noqa: PTH123  a pipe has no path
            for block in _blocks(pipe):
                yield from map(_row, block)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def _give(rows: Rows, writing: int) -> NoReturn:
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a person's Ctrl-C is its parent's to heed
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        gc.disable()  # rows hold no cycles, and what was there before the fork is shared as long as nobody looks at it
        with open(writing, "wb") as pipe:
            try:
                while block := [_plain(row) for row in islice(rows, _TOGETHER)]:
                    _send(pipe, block)
                _send(pipe, [])
            except Exception:  # noqa: BLE001  it leaves this process as text
                _send(pipe, traceback.format_exc())
    except BrokenPipeError:
        pass  # whoever took the rows has seen enough
    finally:
        os._exit(0)


def _send(pipe: BinaryIO, block: list[Plain] | str) -> None:
    content = marshal.dumps(block)
    pipe.write(_SIZE.pack(len(content)) + content)
    pipe.flush()


def _blocks(pipe: BinaryIO) -> Iterator[list[Plain]]:
    while size := pipe.read(_SIZE.size):
        block = marshal.loads(pipe.read(*_SIZE.unpack(size)))
        if isinstance(block, str):
            raise RuntimeError(f"in the process that makes the rows:\n{block}")
        if not block:
            return
        yield block
    raise SetupError(detail="The process that read the manifest was killed. Run the same command again to go on.")


def _plain(row: Row | BadRow) -> Plain:
    columns = None if row.columns is None else spell(row.columns)
    if isinstance(row, BadRow):
        return (row.message, row.code, row.custom_id, columns)
    pictures = tuple([(one.locator, one.size, one.mtime_ns) for one in row.pictures])
    return (pictures, row.custom_id, columns, row.questions, row.system)


def _row(plain: Plain) -> Row | BadRow:
    if len(plain) == 4:
        message, code, custom_id, columns = plain
        return BadRow(message=message, code=code, custom_id=custom_id, columns=_spelled(columns))
    pictures, custom_id, columns, questions, system = plain
    return Row(
        pictures=tuple([Picture(*one) for one in pictures]),
        custom_id=custom_id,
        columns=_spelled(columns),
        questions=questions,
        system=system,
    )


def _spelled(text: str | None) -> Spelled | None:
    return None if text is None else Spelled(text)
