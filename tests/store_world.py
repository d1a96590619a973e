"""A store with a batch maker, a worker and an eye on the tables, for tests that read like stories."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from pipeline import tables as t
from pipeline.conditions import Condition, verdict
from pipeline.jobs import Answer, BatchState, CacheHit, Claim, Failure, Item, JobSpec, PictureRead, State
from pipeline.locators import Picture
from pipeline.owner import Owner
from pipeline.prompts import Prompt
from pipeline.store import Added, BuildFacts, Store
from pipeline.store.wanted import UNFINISHED

MODEL = "m"
OWNER = Owner(host="here", boot_id="boot", pid_namespace="pid:[1]", pid=1, pid_started=1)
READ = PictureRead(sha256=b"s" * 32, bytes=100, width=4, height=3, format="JPEG")
FACTS = BuildFacts(digest=b"d" * 16, family="fake", precision="int4", path="/models/m", stamp="1")
RUNTIME = {"engine": "fake", "device": "CPU", "device_name": "A processor", "versions": {"pixmill": "1"}, "options": {}}


class Clock:
    """Time as the test wants it."""

    def __init__(self, now: float = 1_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def pass_(self, seconds: float) -> None:
        self.now += seconds


class World:
    """Verbs over a store: submit names, claim jobs, answer them."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self.store, self.clock = store, clock
        self.build = store.register_build(FACTS)
        self.runtime = store.register_runtime(RUNTIME)
        self.worker = self.join(OWNER)

    def join(self, owner: Owner, *, model: str = MODEL, device: str = "CPU", lease_s: float = 60.0) -> int:
        return self.store.join(owner, model=model, device=device, build=self.build, lease_s=lease_s)

    def another_worker(self, pid: int = 2, **options: Any) -> int:
        return self.join(replace(OWNER, pid=pid), **options)

    # --- submitting ------------------------------------------------------------------------------

    def open(self, name: str | None = None, **terms: Any) -> int:
        return self.store.open_batch(name, origin="run", spec={"command": name or "?"}, **terms).id

    def add(self, batch: int, *specs: JobSpec, first: int = 0, force: bool = False) -> Added:
        return self.store.add(batch, [Item(spec=s, row=row) for row, s in enumerate(specs, first)], force=force)

    def submit(
        self, *pictures: str, name: str | None = None, force: bool = False, question: str = "What?", **terms: Any
    ) -> int:
        """A sealed batch with a job for each picture."""
        batch = self.open(name, **terms)
        self.add(batch, *(spec(picture, question) for picture in pictures), force=force)
        self.store.seal(batch, len(pictures))
        return batch

    # --- running ---------------------------------------------------------------------------------

    def tickets(self, model: str = MODEL, **options: Any) -> list[list[int]]:
        """The ids on the next tickets."""
        return [list(ticket.ids) for ticket in self.store.tickets(model, **options)]

    def claim(self, ids: Iterable[int] | None = None, worker: int | None = None) -> list[Claim]:
        """The given jobs, or all."""
        wanted = self.ids() if ids is None else ids
        return self.store.claim(wanted, worker or self.worker)

    def finish(self, *endings: Answer | CacheHit, worker: int | None = None) -> set[int]:
        return self.store.finish(endings, worker=worker or self.worker, build=self.build, runtime=self.runtime)

    def do(self, *pictures: str, **options: Any) -> list[Claim]:
        """Submit, claim and answer."""
        batch = self.submit(*pictures, **options)
        claims = self.claim(self.ids(batch))
        self.finish(*map(answer, claims))
        return claims

    def fail(self, claim: Claim, code: str, message: str = "no", **more: Any) -> State | None:
        failure = Failure(job=claim.id, token=claim.token, code=code, message=message, **more)
        return self.store.fail([failure]).get(claim.id)

    # --- looking ---------------------------------------------------------------------------------

    def ids(self, batch: int | None = None) -> list[int]:
        if batch is None:
            return [row.id for row in self.rows(sa.select(t.jobs.c.id).order_by(t.jobs.c.id))]
        items = sa.select(t.batch_items.c.job_id).where(t.batch_items.c.batch_id == batch)
        return [row.job_id for row in self.rows(items.order_by(t.batch_items.c.row_no, t.batch_items.c.ask_no))]

    def job(self, id: int) -> sa.Row[Any]:
        return self.rows(sa.select(t.jobs).where(t.jobs.c.id == id))[0]

    def states(self, batch: int | None = None) -> list[str]:
        return [self.job(id).state for id in self.ids(batch)]

    def batch(self, id: int) -> sa.Row[Any]:
        return self.rows(sa.select(t.batches).where(t.batches.c.id == id))[0]

    def answers(self, job: int | None = None) -> Sequence[sa.Row[Any]]:
        query = sa.select(t.answers).order_by(t.answers.c.id)
        return self.rows(query if job is None else query.where(t.answers.c.job_id == job))

    def rows(self, query: sa.Select[Any]) -> Sequence[sa.Row[Any]]:
        with self.store.reading() as connection:
            return connection.execute(query).all()


def spec(picture: str, question: str = "What?", *, model: str = MODEL, device_class: str | None = None) -> JobSpec:
    place = Picture(f"file:///pictures/{picture}", 100, 1)
    return JobSpec.of(pictures=(place,), prompt=Prompt.ask(question), model=model, device_class=device_class)


def answer(claim: Claim, text: str = "a cat", **more: Any) -> Answer:
    return Answer(
        job=claim.id,
        token=claim.token,
        text=text,
        finish_reason="stop",
        prompt_tokens=10,
        answer_tokens=2,
        **{"pictures": (READ,), **more},
    )


def held(*claims: Claim) -> list[tuple[int, int]]:
    return [(claim.id, claim.token) for claim in claims]


def check(store: Store) -> None:
    """What is true of the tables after each transaction, whatever happened."""
    jobs, items, answers, workers = t.jobs, t.batch_items, t.answers, t.workers
    unfinished = jobs.c.state.in_((State.QUEUED, State.RUNNING))
    wanted = (
        sa.select(items.c.job_id)
        .join(t.batches, t.batches.c.id == items.c.batch_id)
        .where(items.c.job_id == jobs.c.id, t.batches.c.state.in_(UNFINISHED))
        .exists()
    )
    alive = sa.select(workers.c.id).where(workers.c.id == jobs.c.worker_id, workers.c.lease_until.is_not(None)).exists()
    last = (answers.c.job_id == jobs.c.id) & (answers.c.claim_token == jobs.c.claim_token)
    wrong = {
        "an open item whose job has ended": sa.select(items.c.job_id)
        .outerjoin(jobs, jobs.c.id == items.c.job_id)
        .where(items.c.ended.is_(None), sa.or_(jobs.c.id.is_(None), ~unfinished)),
        "a closed item whose job has not ended": sa.select(jobs.c.id)
        .join(items, items.c.job_id == jobs.c.id)
        .where(items.c.ended.is_not(None), unfinished),
        "a waiting job that nobody wants": sa.select(jobs.c.id).where(jobs.c.state == State.QUEUED, ~wanted),
        "a running job without a living worker": sa.select(jobs.c.id).where(jobs.c.state == State.RUNNING, ~alive),
        "a worker on a job that does not run": sa.select(jobs.c.id).where(
            jobs.c.state != State.RUNNING, jobs.c.worker_id.is_not(None)
        ),
        "a done job without the answer of its last claim": sa.select(jobs.c.id).where(
            jobs.c.state == State.DONE, ~sa.exists().where(last)
        ),
        "an answer without its words": sa.select(answers.c.id).where(
            answers.c.id.not_in(sa.select(t.answer_words.c.rowid))
        ),
        "words without an answer": sa.select(t.answer_words.c.rowid).where(
            t.answer_words.c.rowid.not_in(sa.select(answers.c.id))
        ),
        "a ticket for a job that ended": sa.select(jobs.c.id).where(~unfinished, jobs.c.ticketed_at.is_not(None)),
    }
    with store.reading() as connection:
        for what, query in wrong.items():
            assert connection.execute(query).all() == [], what
        _check_followups(connection)


def _check_followups(connection: sa.Connection) -> None:
    """A follow-up is asked when its conditions hold, and only then; while that is open it may stand or not."""
    items, jobs, answers, notes = t.batch_items, t.jobs, t.answers, t.followups
    last = (answers.c.job_id == jobs.c.id) & (answers.c.claim_token == jobs.c.claim_token)
    text = sa.case((jobs.c.state == State.DONE, answers.c.text))
    stand = sa.select(items.c.batch_id, items.c.row_no, items.c.ask_no, jobs.c.job_key, text.label("text"))
    stand = stand.join_from(items, jobs, jobs.c.id == items.c.job_id).outerjoin(answers, last)
    there = {(row.batch_id, row.row_no, row.ask_no): row for row in connection.execute(stand)}
    said: defaultdict[tuple[int, int], dict[int, str | None]] = defaultdict(dict)
    for (batch, row, ask), item in there.items():
        said[batch, row][ask] = item.text
    going = sa.select(notes).join(t.batches).where(t.batches.c.state != BatchState.COMPLETED)
    for note in connection.execute(going.order_by(notes.c.ask_no)):
        answered, place = said[note.batch_id, note.row_no], (note.batch_id, note.row_no, note.ask_no)
        asked = verdict(map(Condition.from_data, note.conditions), answered)
        if asked is None:
            answered[note.ask_no] = None
        else:
            assert (place in there) == asked, (place, note.conditions, answered)
        assert place not in there or bytes(there[place].job_key) == bytes(note.job_key), place
