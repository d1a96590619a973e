"""Beside: entries are made in a process of their own, so that a large manifest is read on one core, stored on another.

Making entries (parsing, looking at files, spelling columns, hashing) takes about as long as storing them. A thread
would gain nothing: both are Python's work. The process is a fork, for what makes the entries is a generator that has
begun; it touches nothing but what that reads, and leaves without cleaning up what belongs to its parent.
"""

from __future__ import annotations

import fcntl
import gc
import marshal
import os
import signal
import struct
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any, BinaryIO, NoReturn

from pipeline.columns import Spelled, spell
from pipeline.conditions import Condition
from pipeline.errors import PixmillError, SetupError, UsageError
from pipeline.jobs import Item, JobSpec
from pipeline.locators import Picture
from pipeline.prompts import Ask, Prompt
from pipeline.store.values import InvalidRow
from pipeline.submit import Entry, growing_chunks

_TOGETHER = 500
_SIZE = struct.Struct("<I")
_BUFFER = 1 << 20
"""Bytes that may lie in the pipe, some five thousand entries: while one side stores a chunk, the other goes on."""
_REMEMBERED = 4_096
"""prompts; when there are more, they are forgotten and read again"""

Plain = tuple[Any, ...]
"""a value as marshal takes it"""
Asked = tuple[Ask, str, str | None]
"""what entries have in common: what is asked, of which model, on which class of devices"""


class Beside:
    """A process that makes entries, and what it has to say meanwhile."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._prompts: dict[bytes, Prompt] = {}

    def note(self, text: str) -> None:
        """Say something to a person, in whichever process."""
        self._say(text)

    def entries(self, entries: Iterable[Entry]) -> Iterator[Entry]:
        """The same entries; the process that makes them ends with whoever takes them."""
        reading, writing = os.pipe()
        with suppress(PermissionError):  # a user may have so many bytes in pipes and no more; then it stays at 64 KiB
            fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, _BUFFER)
        child = os.fork()
        if child == 0:
            os.close(reading)
            self._give(entries, writing)
        os.close(writing)
        try:
            with open(reading, "rb", buffering=_BUFFER) as pipe:  # noqa: PTH123  a pipe has no path
                yield from self._received(pipe)
        finally:
            with suppress(ProcessLookupError, ChildProcessError):  # where SIGCHLD is ignored, it has gone by itself
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)

    def _received(self, pipe: BinaryIO) -> Iterator[Entry]:
        for kind, *message in _messages(pipe):
            match kind, *message:
                case "entries", asked, plain:
                    known = [self._asked(*one) for one in asked]
                    yield from [_entry(one, known) for one in plain]
                case "note", text:
                    self._say(text)
                case "refused", exit_code, text:
                    raise (UsageError if exit_code == UsageError.exit_code else SetupError)(detail=text)
                case "broken", text:
                    raise RuntimeError(f"in the process that makes the entries:\n{text}")

    def _asked(self, digest: bytes, prompt: Plain, rest: Plain, name: str | None, when: Iterable[Plain]) -> Asked:
        if digest not in self._prompts:
            if len(self._prompts) >= _REMEMBERED:
                self._prompts.clear()
            self._prompts[digest] = Prompt.from_stored(*prompt, digest=digest)
        conditions = tuple(map(Condition.from_data, when))
        return Ask(prompt=self._prompts[digest], name=name, when=conditions), *rest

    # --- in the other process ----------------------------------------------------------------------

    def _give(self, entries: Iterable[Entry], writing: int) -> NoReturn:
        try:
            for number in (signal.SIGINT, signal.SIGTERM):  # its parent's to heed, which ends this too
                signal.signal(number, signal.SIG_IGN)
            gc.freeze()  # what was there before the fork is shared while nobody looks at it
            with open(writing, "wb") as pipe:
                self._say = lambda text: _send(pipe, "note", text)
                _send(pipe, *_outcome(pipe, entries))
        except BrokenPipeError:
            pass  # whoever took the entries has seen enough
        finally:
            os._exit(0)


def _outcome(pipe: BinaryIO, entries: Iterable[Entry]) -> Plain:
    """Send all entries, the first few soon. Returns what is to be said last."""
    try:
        for block in growing_chunks(entries, _TOGETHER):
            _send(pipe, "entries", *_plain(block))
    except BrokenPipeError:
        raise
    except PixmillError as error:
        return "refused", error.exit_code, str(error)
    except Exception:  # noqa: BLE001  it leaves this process as text
        return "broken", traceback.format_exc()
    return ("end",)


def _send(pipe: BinaryIO, *message: Any) -> None:
    content = marshal.dumps(message)
    pipe.write(_SIZE.pack(len(content)) + content)
    pipe.flush()


def _messages(pipe: BinaryIO) -> Iterator[Plain]:
    while size := pipe.read(_SIZE.size):
        message = marshal.loads(pipe.read(*_SIZE.unpack(size)))
        if message[0] == "end":
            return
        yield message
    raise SetupError(detail="The process that read the manifest was killed. Run the same command again to go on.")


# --- entries as both sides know them -----------------------------------------------------------


def _plain(entries: Iterable[Entry]) -> tuple[list[Plain], list[Plain]]:
    """What is asked, each thing once, and the entries, which say it by its place."""
    places: dict[Plain, int] = {}
    asked: list[Plain] = []
    plain: list[Plain] = []
    for entry in entries:
        columns = None if entry.columns is None else spell(entry.columns)
        if isinstance(entry, InvalidRow):
            plain.append((entry.row, entry.code, entry.message, entry.custom_id, columns))
            continue
        spec = entry.spec
        one = (spec.prompt.digest, entry.name, entry.when, spec.model, spec.device_class)
        place = places.setdefault(one, len(asked))
        if place == len(asked):
            asked.append(_plain_ask(entry))
        # Tuples that are nothing else: marshal knows no others.
        pictures = [tuple(picture) for picture in spec.pictures]
        plain.append((entry.row, entry.ask, place, spec.key, pictures, entry.custom_id, columns))
    return asked, plain


def _plain_ask(item: Item) -> Plain:
    spec, prompt = item.spec, item.spec.prompt
    said = (prompt.messages, prompt.parameters, prompt.form)
    conditions = [condition.data() for condition in item.when]
    return prompt.digest, said, (spec.model, spec.device_class), item.name, conditions


def _entry(plain: Plain, asked: list[Asked]) -> Entry:
    if len(plain) == 5:
        row, code, message, custom_id, columns = plain
        return InvalidRow(row=row, code=code, message=message, custom_id=custom_id, columns=_spelled(columns))
    row, place, of, key, pictures, custom_id, columns = plain
    ask, model, device_class = asked[of]
    spec = JobSpec(tuple(map(Picture._make, pictures)), ask.prompt, model, device_class, key)
    return Item(spec, row, place, custom_id, _spelled(columns), ask.name, ask.when)


def _spelled(text: str | None) -> Spelled | None:
    return None if text is None else Spelled(text)
