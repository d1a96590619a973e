"""Forgetting a picture: everything that tells of it goes, and of pictures with the same content under other names.

What is asked for is given as locators, beginnings of locators (a folder, an archive) and digests. From the jobs at
these places follow the digests that were read there; from those every other place where the same was read.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, TypeVar

import sqlalchemy as sa

from pipeline.jobs import State
from pipeline.locators import BLOB, open_member, open_path
from pipeline.store import removal
from pipeline.store.dialects import IDS, any_of, locked
from pipeline.store.moves import THESE
from pipeline.tables import (
    answers,
    batch_items,
    batches,
    firings,
    followups,
    images,
    job_images,
    jobs,
    schedules,
    watched_files,
    watches,
    workers,
)

FORGOTTEN = "(forgotten)"
"""what stands in a batch's spec where a picture was named"""
_AT_ONCE = 1_000
"""values in one statement: SQLite takes some ten thousand"""
_DIGITS = 64

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """What a person asks to forget."""

    locators: frozenset[str] = frozenset()
    beginnings: frozenset[str] = frozenset()
    """of locators: all below a folder, all inside of an archive"""
    digests: frozenset[bytes] = frozenset()


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """What is known of it."""

    wanted: Wanted
    locators: frozenset[str] = frozenset()
    digests: frozenset[bytes] = frozenset()
    elsewhere: Sequence[int] = ()
    """jobs that are only about the same content under other names"""
    here: Sequence[int] = ()
    """jobs at the places that were named"""
    counts: dict[str, int] = field(default_factory=dict)
    running: Sequence[str] = ()
    """batches for which an engine has some of the jobs"""
    doors: Sequence[str] = ()
    """watches and schedules that name it, and would ask about it again"""

    @property
    def jobs(self) -> list[int]:
        """In the order in which they go: as long as the last are there, the program finds the others again."""
        return [*self.elsewhere, *self.here]


# --- finding -------------------------------------------------------------------------------------


def digests_like(connection: sa.Connection, digits: str) -> set[bytes]:
    """The digests that begin with these hexadecimal digits."""
    low, high = (bytes.fromhex(digits.ljust(_DIGITS, end)) for end in "0f")
    found = [
        *connection.execute(sa.select(images.c.sha256).where(images.c.sha256.between(low, high))).scalars(),
        *connection.execute(sa.select(job_images.c.sha256).where(job_images.c.sha256.between(low, high))).scalars(),
    ]
    return {bytes(digest) for digest in found if digest is not None}


def find(connection: sa.Connection, wanted: Wanted) -> Found:
    """What is known of what is to be forgotten."""
    here = dict[int, None]()
    locators, digests = set(wanted.locators), set(wanted.digests)
    for job, locator, digest in _at(connection, wanted):
        here[job] = None
        locators.add(locator)
        if digest is not None:
            digests.add(bytes(digest))
    locators |= {BLOB + digest.hex() for digest in digests}
    for _, locator, _ in _where(connection, job_images.c.sha256.in_, digests):
        locators.add(locator)
    elsewhere = dict[int, None]()
    for condition, values in ((job_images.c.sha256.in_, digests), (job_images.c.locator.in_, locators)):
        elsewhere |= {job: None for job, _, _ in _where(connection, condition, values) if job not in here}
    found = sorted([*here, *elsewhere])
    return Found(
        wanted=wanted,
        locators=frozenset(locators),
        digests=frozenset(digests),
        elsewhere=sorted(elsewhere),
        here=sorted(here),
        counts=_counts(connection, found)
        | {
            "picture": sum(1 for _ in _known(connection, digests)),
            "other mention": sum(1 for _ in _mentions(connection, wanted, locators, found)),
        },
        running=_running(connection, found),
        doors=_doors(connection, Names(wanted, locators)),
    )


_PLACE = (batch_items.c.batch_id, batch_items.c.row_no, batch_items.c.ask_no)
_INVALID = sa.select(*_PLACE, batch_items.c.error, batch_items.c.custom_id, batch_items.c.columns).where(
    batch_items.c.job_id.is_(None)
)
_ROW = sa.select(job_images.c.job_id, job_images.c.locator, job_images.c.sha256)


def _at(connection: sa.Connection, wanted: Wanted) -> Iterator[sa.Row[int, str, bytes | None]]:
    yield from _where(connection, job_images.c.locator.in_, wanted.locators)
    for beginning in wanted.beginnings:
        yield from connection.execute(_ROW.where(_begins(job_images.c.locator, beginning)))


def _begins(column: sa.Column[str], beginning: str) -> sa.ColumnElement[bool]:
    """Compared as they are: LIKE would take some of their characters for signs, and a range would go by a language."""
    return sa.func.substr(column, 1, len(beginning)) == beginning


def _where(
    connection: sa.Connection, condition: Callable[[Sequence[T]], sa.ColumnElement[bool]], values: Iterable[T]
) -> Iterator[sa.Row[int, str, bytes | None]]:
    for some in _some(values):
        yield from connection.execute(_ROW.where(condition(some)))


def _known(connection: sa.Connection, digests: Iterable[bytes]) -> Iterator[bytes]:
    for some in _some(digests):
        yield from connection.execute(sa.select(images.c.sha256).where(images.c.sha256.in_(some))).scalars()


def _some(values: Iterable[T]) -> Iterator[list[T]]:
    source = iter(values)
    while some := list(islice(source, _AT_ONCE)):
        yield some


def _counts(connection: sa.Connection, ids: Sequence[int]) -> dict[str, int]:
    given = {"ids": ids}
    tables = {
        "job": (jobs, jobs.c.id),
        "answer": (answers, answers.c.job_id),
        "item": (batch_items, batch_items.c.job_id),
    }
    return {
        name: connection.execute(
            sa.select(sa.func.count()).select_from(table).where(any_of(column, IDS)), given
        ).scalar_one()
        for name, (table, column) in tables.items()
    }


def _running(connection: sa.Connection, ids: Sequence[int]) -> list[str]:
    names = sa.select(batches.c.name).distinct().join_from(batches, batch_items)
    asked = names.join(jobs, jobs.c.id == batch_items.c.job_id)
    found = asked.where(THESE, jobs.c.state == State.RUNNING).order_by(batches.c.name)
    return list(connection.execute(found, {"ids": ids}).scalars())


# --- where it is named in what a person wrote ------------------------------------------------------


_BEFORE = r"""(?<![^\s"'(\[=:,/])"""
_AFTER = r"(?![\w-]|\.\w)"
"""Another file's name that only holds this one is left alone."""


class Names:
    """How the picture may be spelled: as a locator, or as the path this means."""

    def __init__(self, wanted: Wanted, locators: Iterable[str]) -> None:
        self._locators = set(locators) | wanted.locators
        self._paths = {path for name in self._locators if open_member(name) is None and (path := open_path(name, None))}
        # What lies below a folder that is forgotten is found by the folder: thousands of names would take long.
        within = {path for name in wanted.beginnings for path in (name, open_path(name, None)) if path}
        alone = (name for name in self._locators | self._paths if not name.startswith(tuple(within)))
        told = [*map(re.escape, sorted(alone, key=len, reverse=True)), *(rf"{re.escape(path)}.\S*" for path in within)]
        self._within = re.compile(f"{_BEFORE}(?:{'|'.join(told)}){_AFTER}" if told else r"(?!)")

    def within(self, text: str) -> bool:
        """Whether a longer text names it."""
        return self._within.search(text) is not None

    def means(self, text: str, *, listed: bool) -> bool:
        """Whether a value names it; of a batch that lists it also by the end of its path, as it was typed."""
        return self.within(text) or (listed and any(path.endswith(f"/{text}") for path in self._paths if text))

    def scrubbed(self, value: Any, *, listed: bool) -> Any:
        """A value without the picture's name."""
        if isinstance(value, str):
            return FORGOTTEN if self.means(value, listed=listed) else value
        if isinstance(value, dict):
            return {name: self.scrubbed(one, listed=listed) for name, one in value.items()}
        if isinstance(value, list):
            return [self.scrubbed(one, listed=listed) for one in value]
        return value


def _doors(connection: sa.Connection, names: Names) -> list[str]:
    """Watches and schedules that name the picture itself."""
    return [
        f"{kind} {row.name}"
        for kind, table in (("watch", watches), ("schedule", schedules))
        for row in connection.execute(sa.select(table.c.name, table.c.spec).order_by(table.c.name))
        if names.scrubbed(row.spec, listed=False) != row.spec
    ]


def unname(connection: sa.Connection, found: Found) -> None:
    """Take the picture's name out of what a person wrote around it."""
    for change in list(_mentions(connection, found.wanted, found.locators, found.jobs)):
        connection.execute(change)


def _mentions(
    connection: sa.Connection, wanted: Wanted, locators: Collection[str], ids: Collection[int]
) -> Iterator[sa.sql.dml.UpdateBase]:
    """What changes where the picture is named outside of its jobs, a row each."""
    names = Names(wanted, locators)
    listed = set(_batches_of(connection, ids))
    for row in connection.execute(sa.select(batches.c.id, batches.c.spec)):
        spec = names.scrubbed(row.spec, listed=row.id in listed)
        if spec != row.spec:
            yield batches.update().where(batches.c.id == row.id).values(spec=spec)
    for table, column in ((workers, workers.c.status), (firings, firings.c.detail)):
        for id, said in connection.execute(sa.select(table.c.id, column).where(column.is_not(None))):
            if names.scrubbed(said, listed=False) != said:
                yield table.update().where(table.c.id == id).values({column: None})
    # Rows that never became a job, and say so with the picture's name.
    for *place, error, custom_id, columns in connection.execute(_INVALID):
        if names.scrubbed([error, custom_id, columns], listed=False) != [error, custom_id, columns]:
            yield batch_items.delete().where(sa.tuple_(*_PLACE) == sa.tuple_(*place))
    yield from _watched(connection, wanted, locators)


def _watched(connection: sa.Connection, wanted: Wanted, locators: Iterable[str]) -> Iterator[sa.sql.dml.UpdateBase]:
    key = sa.select(watched_files.c.watch_id, watched_files.c.locator)
    asked = [key.where(watched_files.c.locator.in_(some)) for some in _some(locators)]
    asked += [key.where(_begins(watched_files.c.locator, beginning)) for beginning in wanted.beginnings]
    for query in asked:
        for watch, locator in connection.execute(query):
            yield watched_files.delete().where(watched_files.c.watch_id == watch, watched_files.c.locator == locator)


def _batches_of(connection: sa.Connection, ids: Collection[int]) -> Sequence[int]:
    query = sa.select(batch_items.c.batch_id).distinct().where(any_of(batch_items.c.job_id, IDS))
    return connection.execute(query, {"ids": ids}).scalars().all()


# --- forgetting ----------------------------------------------------------------------------------

_ITEMS = (
    batch_items.delete()
    .where(any_of(batch_items.c.job_id, IDS))
    .returning(batch_items.c.batch_id, batch_items.c.row_no)
)
_NOTES = (
    followups.delete()
    .where(followups.c.batch_id == sa.bindparam("batch", type_=sa.BigInteger), any_of(followups.c.row_no, IDS))
    .returning(followups.c.prompt_id)
)
_STATES = locked(sa.select(jobs.c.id, jobs.c.state).where(THESE))


def forget_jobs(connection: sa.Connection, ids: Sequence[int]) -> bool:
    """These jobs are as if they had never been asked. False, and nothing happens, when an engine has one of them."""
    there = {row.id: row.state for row in connection.execute(_STATES, {"ids": ids})}
    if State.RUNNING in there.values():
        return False
    rows: defaultdict[int, set[int]] = defaultdict(set)
    for batch, row in connection.execute(_ITEMS, {"ids": ids}):
        rows[batch].add(row)
    noted: set[int] = set()
    for batch, numbers in rows.items():
        noted.update(connection.execute(_NOTES, {"batch": batch, "ids": numbers}).scalars())
    removal.remove(connection, list(there))
    removal.remove_prompts(connection, noted)
    return True


def forget_digests(connection: sa.Connection, digests: Iterable[bytes]) -> None:
    """Of what was read nothing is known."""
    for some in _some(digests):
        connection.execute(images.delete().where(images.c.sha256.in_(some)))
