"""Follow-up questions: asked about a row once earlier answers about it are as the question wants them.

A row's follow-ups are noted when it is submitted, in a table of their own. Each becomes an item of its batch, with
a job like any other, in the transaction that stores the answer which decides it; until then, and where a condition
is false, there is no item: nothing waits that may never be asked, and nothing unasked is listed. The notes stay,
since a row may be answered again and differently: then an item that should not be there any more goes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import sqlalchemy as sa

from pipeline.conditions import Condition, verdict
from pipeline.jobs import BatchState, Item, State
from pipeline.store import linking
from pipeline.store.batches import release
from pipeline.store.dialects import IDS, Ids, any_of, as_json, insert_rows, locked, plain_or_none, reserve
from pipeline.store.values import Added
from pipeline.tables import answers, batch_items, batches, followups, job_images, jobs

Place = tuple[int, int]
"""(row, ask)"""
Touched = Mapping[int, Collection[int]]
"""batch -> rows of it"""

_COLUMNS = ("batch_id", "row_no", "ask_no", "conditions", "job_key", "prompt_id", "name", "force")

_BATCH = sa.bindparam("batch", type_=sa.BigInteger)
_ROW = sa.bindparam("row", type_=sa.BigInteger)
_ASK = sa.bindparam("ask", type_=sa.SmallInteger)


def _these(table: sa.FromClause) -> tuple[sa.ColumnElement[bool], ...]:
    """Rows of a batch."""
    return table.c.batch_id == _BATCH, any_of(table.c.row_no, IDS)


def _this(table: sa.FromClause) -> tuple[sa.ColumnElement[bool], ...]:
    """One place of a batch."""
    return table.c.batch_id == _BATCH, table.c.row_no == _ROW, table.c.ask_no == _ASK


_ONWARD = sa.tuple_(followups.c.row_no, followups.c.ask_no) >= sa.tuple_(_ROW, _ASK)
_FORGET = followups.delete().where(
    followups.c.batch_id == _BATCH, followups.c.row_no <= sa.bindparam("last", type_=sa.BigInteger), _ONWARD
)
_BEYOND = followups.delete().where(followups.c.batch_id == _BATCH, followups.c.row_no >= _ROW)

_IS_NOTED = sa.exists().where(followups.c.batch_id == batches.c.id)

# A completed batch has ended, whatever its jobs are asked for the sake of others, until it goes on itself. One that
# was cancelled or has expired gets its items, cancelled like the rest of it, so that running it again finds them.
_FOLLOWED = sa.select(batches.c.id).where(
    batches.c.state.in_([state for state in BatchState if state is not BatchState.COMPLETED]),
    _IS_NOTED,
)
_TOUCHED = (
    sa.select(batch_items.c.batch_id, batch_items.c.row_no)
    .where(any_of(batch_items.c.job_id, IDS), any_of(batch_items.c.batch_id, sa.bindparam("followed", type_=Ids)))
    .distinct()
)
_COMPLETED = sa.select(batches.c.id).where(
    batches.c.id.in_(sa.select(batch_items.c.batch_id).where(any_of(batch_items.c.job_id, IDS))),
    batches.c.state == BatchState.COMPLETED,
    _IS_NOTED,
)
_CHANGED = (
    sa.select(batch_items.c.batch_id, batch_items.c.row_no)
    .join(batches, batches.c.id == batch_items.c.batch_id)
    .where(any_of(batch_items.c.batch_id, IDS), batch_items.c.ended >= batches.c.finished)
    .distinct()
)
_NOTED = sa.select(followups).where(*_these(followups)).order_by(followups.c.ask_no, followups.c.row_no)

_JOB = (jobs.c.id, jobs.c.job_key, jobs.c.model, jobs.c.device_class)
_last_answer = sa.and_(
    answers.c.job_id == jobs.c.id, answers.c.claim_token == jobs.c.claim_token, jobs.c.state == State.DONE
)
# The answer of the job's last claim, as the model gave it: what a person corrects later does not unask a question.
_STAND = (
    sa.select(batch_items.c.row_no, batch_items.c.ask_no, *_JOB, answers.c.text)
    .join_from(batch_items, jobs, jobs.c.id == batch_items.c.job_id)
    .outerjoin(answers, _last_answer)
    .where(*_these(batch_items))
)
_REMOVE = batch_items.delete().where(*_this(batch_items))
_FORCED = followups.update().values(force=False).where(*_this(followups))
_LANE = sa.select(batches.c.lane).where(batches.c.id == _BATCH)


def _item_like(parent: sa.FromClause) -> sa.Insert:
    """An item beside one of the same row."""
    given: dict[str, sa.ColumnElement[Any]] = {
        **{name: parent.c[name] for name in ("batch_id", "row_no", "custom_id", "columns")},
        "ask_no": sa.bindparam("asked", type_=sa.SmallInteger),
        "job_id": sa.bindparam("job", type_=sa.BigInteger),
        "ended": sa.bindparam("ended", type_=sa.Double),
        "name": sa.bindparam("called", type_=sa.Text),
    }
    return batch_items.insert().from_select(list(given), sa.select(*given.values()).where(*_this(parent)))


def _pictures_like(parent: sa.FromClause) -> sa.Insert:
    """The pictures of one job for another. What was read in them is found out anew: files change."""
    given: dict[str, sa.ColumnElement[Any]] = {
        "job_id": sa.bindparam("job", type_=sa.BigInteger),
        **{name: parent.c[name] for name in ("position", "locator", "size", "mtime_ns")},
    }
    found = sa.select(*given.values()).where(parent.c.job_id == sa.bindparam("like", type_=sa.BigInteger))
    return job_images.insert().from_select(list(given), found)


_PUT_ITEM = _item_like(batch_items.alias())
_PUT_PICTURES = _pictures_like(job_images.alias())


@dataclass(frozen=True, slots=True)
class Note:
    """A follow-up question as it was noted."""

    row: int
    ask: int
    conditions: tuple[Condition, ...]
    key: bytes
    prompt: int
    name: str | None
    force: bool

    @classmethod
    def of(cls, row: sa.Row[Any]) -> Note:
        conditions = tuple(map(Condition.from_data, row.conditions))
        return cls(row.row_no, row.ask_no, conditions, bytes(row.job_key), row.prompt_id, row.name, row.force)

    @property
    def at(self) -> Place:
        return self.row, self.ask

    @property
    def after(self) -> Place:
        """One of the questions it depends on: it is about the same pictures, for the same model."""
        return self.row, self.conditions[0].ask

    def stands(self, stand: Stand) -> bool:
        """Whether it is asked."""
        return self.at in stand and bytes(stand[self.at].job_key) == self.key

    def is_elsewhere(self, stand: Stand) -> bool:
        """Whether something else is asked at its place, which an earlier submission put there."""
        return self.at in stand and not self.stands(stand)


@dataclass(frozen=True, slots=True)
class _Linked:
    """What became of jobs, by key or id."""

    ids: Mapping[bytes, int] = field(default_factory=dict)
    new: set[int] = field(default_factory=set)
    again: set[int] = field(default_factory=set)
    done: set[int] = field(default_factory=set)

    def count(self, notes: Iterable[Note]) -> Added:
        return linking.count([self.ids[note.key] for note in notes], self.new, self.again, self.done)


class NotAlone(Exception):
    """An answer may lead to another question, which nobody else may decide about at the same time."""


Stand = Mapping[Place, sa.Row[Any]]
"""what stands at each place: the item's job, and the text of its answer when it is done"""


# --- noting ------------------------------------------------------------------------------------


def note(
    connection: sa.Connection,
    batch_id: int,
    items: Sequence[Item],
    prompt_ids: Mapping[bytes, int],
    *,
    force: bool,
) -> None:
    """Note the follow-up questions of rows, instead of those that were noted at these places before."""
    first = min((item.row, item.ask) for item in items)
    forget(connection, batch_id, first, max(item.row for item in items))
    rows = {
        (item.row, item.ask): (
            batch_id,
            item.row,
            item.ask,
            as_json([condition.data() for condition in item.when]),
            item.spec.key,
            prompt_ids[item.spec.prompt.digest],
            plain_or_none(item.name),
            force,
        )
        for item in items
        if item.when
    }
    insert_rows(connection, followups, _COLUMNS, list(rows.values()))


def forget(connection: sa.Connection, batch_id: int, first: Place, last: int) -> None:
    """Nothing is noted from this place to the end of the last row."""
    connection.execute(_FORGET, {"batch": batch_id, "row": first[0], "ask": first[1], "last": last})


def forget_beyond(connection: sa.Connection, batch_id: int, row: int) -> None:
    """Nothing is noted from this row on."""
    connection.execute(_BEYOND, {"batch": batch_id, "row": row})


# --- following ---------------------------------------------------------------------------------


def followed(connection: sa.Connection) -> list[int]:
    """The batches in which an answer may lead to another question."""
    return list(connection.execute(_FOLLOWED).scalars())


def touched(connection: sa.Connection, ids: Collection[int], followed: Collection[int]) -> Touched:
    """The rows of these batches that ask one of the jobs."""
    if not (ids and followed):
        return {}
    return _by_batch(connection.execute(_TOUCHED, {"ids": ids, "followed": followed}))


def changed(connection: sa.Connection, ids: Collection[int]) -> Touched:
    """The rows that were answered again after their batch was completed, of the batches that these jobs belong to."""
    completed = connection.execute(_COMPLETED, {"ids": ids}).scalars().all()
    return _by_batch(connection.execute(_CHANGED, {"ids": completed})) if completed else {}


def _by_batch(rows: Iterable[sa.Row[int, int]]) -> Touched:
    found: defaultdict[int, set[int]] = defaultdict(set)
    for batch, row in rows:
        found[batch].add(row)
    return found


def follow(connection: sa.Connection, rows: Touched, now: float, *, linking_now: bool = False) -> Added:
    """Ask what is to be asked about these rows by now, and take back what is not to be asked any more.

    `linking_now`: the jobs that the rows ask are locked first, since one of them may be ending at this moment. Where
    it ended here, nobody else decides about the row: the caller is alone.
    """
    parts = (_Batch(connection, batch, rows[batch], now, linking_now).follow() for batch in sorted(rows))
    return sum(parts, Added())


class _Batch:
    """Rows of one batch, within one transaction."""

    def __init__(
        self, connection: sa.Connection, batch: int, rows: Collection[int], now: float, linking_now: bool
    ) -> None:
        self._connection, self._batch, self._now = connection, batch, now
        self._rows = {"batch": batch, "ids": rows}
        self._query = locked(_STAND) if linking_now else _STAND

    def follow(self) -> Added:
        """Question by question: what one leads to may decide about the next."""
        added = Added()
        unsure: set[Place] = set()
        stand: Stand | None = None
        for _, group in groupby(self._noted(), key=lambda note: note.ask):
            stand = self._stand() if stand is None else stand
            notes = _judged(group, stand, unsure)
            waiting = {note.at for note, holds in notes if holds is None}
            gone = [note for note, holds in notes if note.is_elsewhere(stand) or (holds is False and note.at in stand)]
            asked = [note for note, holds in notes if holds and (note.force or not note.stands(stand))]
            there = [stand[note.at].text for note, holds in notes if holds and note.stands(stand) and not note.force]
            done = sum(text is not None for text in there)
            added += Added(waiting=len(waiting), linked_done=done, linked_pending=len(there) - done)
            added += self._change(gone, asked, stand)
            unsure |= waiting
            stand = None if gone or asked else stand
        return added

    def _noted(self) -> list[Note]:
        return [Note.of(row) for row in self._connection.execute(_NOTED, self._rows)]

    def _stand(self) -> Stand:
        return {(row.row_no, row.ask_no): row for row in self._connection.execute(self._query, self._rows)}

    def _change(self, gone: Sequence[Note], asked: Sequence[Note], stand: Stand) -> Added:
        """Remove items and make others; their jobs follow."""
        if gone:
            self._connection.execute(_REMOVE, [self._place(note) for note in gone])
        linked = self._link(asked, stand) if asked else _Linked()
        # Nobody may want the jobs of what went any more, nor those of what came to a batch that was cancelled.
        release(self._connection, [*(stand[note.at].id for note in gone), *linked.ids.values()], self._now)
        return linked.count(asked)

    def _link(self, notes: Sequence[Note], stand: Stand) -> _Linked:
        """The jobs of these questions, made or known, with an item each."""
        known = linking.known(self._connection, [note.key for note in notes])
        forced = {note.key for note in notes if note.force}
        again = set()
        for force, keys in ((True, known.keys() & forced), (False, known.keys() - forced)):
            again |= linking.run_again(self._connection, [known[key] for key in keys], self._now, force=force)
        made = self._make({note.key: note for note in notes if note.key not in known}, stand)
        linking.heed_no_cache(self._connection, self._batch, {*again, *made.values()})
        done = {id for id, state in known.values() if state == State.DONE} - again
        linked = _Linked({key: id for key, (id, _) in known.items()} | made, set(made.values()), again, done)
        # One that is forced may stand there with its old answer, which counts until there is a new one.
        self._put([note for note in notes if not note.stands(stand)], linked)
        if forced:
            self._connection.execute(_FORCED, [self._place(note) for note in notes if note.force])
        return linked

    def _make(self, new: Mapping[bytes, Note], stand: Stand) -> dict[bytes, int]:
        """Jobs about the pictures that were asked about before."""
        if not new:
            return {}
        ids = dict(zip(new, reserve(self._connection, jobs, len(new)), strict=True))
        lane = self._connection.execute(_LANE, {"batch": self._batch}).scalar_one()
        rest = (lane, State.QUEUED.value, self._now, self._now, self._now)
        before = {key: stand[note.after] for key, note in new.items()}
        rows = [(ids[key], key, new[key].prompt, job.model, job.device_class, *rest) for key, job in before.items()]
        insert_rows(self._connection, jobs, linking.JOB, rows)
        self._connection.execute(_PUT_PICTURES, [{"job": ids[key], "like": job.id} for key, job in before.items()])
        return ids

    def _put(self, notes: Sequence[Note], linked: _Linked) -> None:
        ids, done = linked.ids, linked.done
        items = [
            {
                "batch": self._batch,
                "row": note.row,
                "ask": note.after[1],
                "asked": note.ask,
                "job": ids[note.key],
                "ended": self._now if ids[note.key] in done else None,
                "called": note.name,
            }
            for note in notes
        ]
        if items:
            self._connection.execute(_PUT_ITEM, items)

    def _place(self, note: Note) -> dict[str, int]:
        return {"batch": self._batch, "row": note.row, "ask": note.ask}


def _judged(notes: Iterable[Note], stand: Stand, unsure: Collection[Place]) -> list[tuple[Note, bool | None]]:
    """Whether each is to be asked, as far as that is known. An answer counts once it is sure that it is wanted."""
    answered: defaultdict[int, dict[int, str | None]] = defaultdict(dict)
    for (row, ask), item in stand.items():
        answered[row][ask] = item.text
    for row, ask in unsure:
        answered[row][ask] = None
    return [(note, verdict(note.conditions, answered[note.row])) for note in notes]
