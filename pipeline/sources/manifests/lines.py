"""Lines of text out of blocks of bytes, none longer than allowed."""

from __future__ import annotations

import io
from collections.abc import Iterator

from pipeline.errors import UsageError
from pipeline.sources.manifests.compression import Damaged
from pipeline.sources.manifests.source import Source

_UTF8_MARK = b"\xef\xbb\xbf"
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


class Lines:
    """Iterates over the lines, each with its end.

    Bytes that are no UTF-8 come as Python's surrogate escapes: in a file name they are what they were, and
    in a question the row is refused. Where the file breaks off, the iteration ends and `damage` says why.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._longest = source.longest_line
        self.number = 0
        """of the last line that was read, which may be ahead of the one that was given"""
        self.too_long: set[int] = set()
        """numbers of lines that were longer than allowed, and came empty"""
        self.damage: str | None = None

    def __iter__(self) -> Iterator[str]:
        try:
            for part in self._parts():
                text = part.decode("utf-8", "surrogateescape")
                if len(part) > self._longest:
                    text = self._shortened(text)
                self.number += text.count("\n")
                # The universal newlines of str.splitlines would break lines at characters within.
                yield from io.StringIO(text, newline="\n")
        except Damaged as error:
            self.damage = str(error)

    def _parts(self) -> Iterator[bytes]:
        """Whole lines, many at a time; the last one may lack its end."""
        held: list[bytes] = []
        size = 0
        for block in self._marked():
            end = block.rfind(b"\n") + 1
            if end:
                yield b"".join((*held, block[:end]))
                held, size = [block[end:]], len(block) - end
            elif size <= self._longest:  # of what is longer, no more is kept than shows it
                held.append(block)
                size += len(block)
        if size:
            yield b"".join(held)

    def _marked(self) -> Iterator[bytes]:
        """The blocks without a byte order mark."""
        if self._source.head().startswith(_UTF16_MARKS):
            raise UsageError(detail=f"{self._source.shown} is UTF-16. Save it as UTF-8 and run the same command again.")
        blocks = self._source.blocks()
        yield next(blocks, b"").removeprefix(_UTF8_MARK)
        yield from blocks

    def _shortened(self, text: str) -> str:
        lines = list(io.StringIO(text, newline="\n"))
        for place, line in enumerate(lines):
            if len(line) > self._longest:
                lines[place] = "\n"
                self.too_long.add(self.number + place + 1)
        return "".join(lines)
