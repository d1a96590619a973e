"""A watch as a program: the watcher, who answers, and how it ends."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from pipeline.errors import UsageError
from pipeline.models import to_ask, use
from pipeline.options import EngineOptions, Terms
from pipeline.owner import Owner
from pipeline.prompts import Defaults, Form
from pipeline.questions import Questions
from pipeline.schedules.tending import tending
from pipeline.settings import Settings
from pipeline.signals import heeding
from pipeline.sources.rows import Row
from pipeline.store import Store
from pipeline.store.watches import WatchRow
from pipeline.submit import Asking
from pipeline.watching.drops import Drops
from pipeline.watching.holding import LEASE_S, Hold, holding
from pipeline.watching.plan import Plan, check_others
from pipeline.watching.rules import Rules
from pipeline.watching.sending import Sending
from pipeline.watching.tags import tag_columns
from pipeline.watching.telling import Telling
from pipeline.watching.watcher import Answerer, Watcher
from workers.local import Stop
from workers.resident import Resident
from workers.session import INTERRUPTED, SOME_FAILED
from workers.verification import ensure
from workers.worker import Worker, WorkerConfig

STAND_BY_S = 1.0
_OTHER_QUESTIONS = (
    "The watch {name!r} asked other questions until now. Files that it has seen to are not asked about again:"
    " a watch of another --name asks about all of them."
)


@dataclass(frozen=True, kw_only=True)
class Order:
    """What a person asked a watch to do."""

    plan: Plan
    questions: Questions
    form: Form | None
    engine: EngineOptions
    terms: Terms = field(default_factory=Terms)
    no_cache: bool = False
    name: str | None = None
    local: bool = True

    @property
    def called(self) -> str:
        """The watch's name: without one of its own, its folders say which it is, so that a restart finds it."""
        return self.name or "+".join(os.path.basename(folder) or "root" for folder in self.plan.folders)

    @property
    def asked(self) -> dict[str, Any]:
        """What is asked about each picture, as plain data."""
        return {**self.questions.spec(), "form": self.form}

    def spec(self) -> dict[str, Any]:
        return {**self.plan.spec(), "asked": self.asked}


def watch(settings: Settings, store: Store, order: Order, tell: Telling) -> int:
    """Watch until a signal ends it, or once if that was asked for. Returns the exit code."""
    stop, owner = Stop(), Owner.current()
    with ending(stop) as signals:
        _known(store, order)
        answering = _answering(settings, store, order, stop, tell)
        id = _open(store, order, owner, stop, tell)
        if id is None:
            return _code(signals, 0)
        with holding(store, id, owner) as hold:
            watcher = _watcher(settings, store, order, hold, answering, stop, tell)
            try:
                with nullcontext() if order.plan.oneshot else tending(settings, store):
                    watcher.run()
            finally:
                if isinstance(watcher.answerer, Resident):
                    watcher.answerer.wind_up()
                watcher.end()
            return _code(signals, SOME_FAILED if order.plan.oneshot and not watcher.complete else 0)


def _open(store: Store, order: Order, owner: Owner, stop: Stop, tell: Telling) -> int | None:
    """The watch, as soon as nobody else has it. None: asked to stop meanwhile."""
    told = False
    while not stop.times:
        mine = _known(store, order)
        found = store.watches.open(order.called, order.spec(), owner, LEASE_S)
        if isinstance(found, int):
            if mine and mine.files and mine.spec.get("asked") != order.asked:
                tell("note", _OTHER_QUESTIONS.format(name=order.called))
            return found
        if not told:
            text = f"Process {found.pid} on {found.host} looks after {order.called!r} already. This one takes over"
            tell("standing_by", f"{text} when that ends.", name=order.called)
            told = True
        stop.wait(STAND_BY_S)
    return None


def _known(store: Store, order: Order) -> WatchRow | None:
    """What is known of the watch. Raises UsageError where others are in its way."""
    rows = {row.name: row for row in store.watches.rows()}
    mine = rows.pop(order.called, None)
    check_others(order.plan.folders, {name: Plan.of(row.spec).folders for name, row in rows.items() if row.running})
    # A name that was made of folders' names may stand for other folders of such names.
    if order.name is None and mine is not None and Plan.of(mine.spec).folders != order.plan.folders:
        detail = f"There is a watch {order.called!r} of other folders already. Name this one with --name."
        raise UsageError(detail=detail)
    return mine


@dataclass(frozen=True, kw_only=True)
class _Answering:
    """What is asked, and who answers."""

    answerer: Answerer
    model: str
    asking: Asking
    clock: Callable[[], float]


def _answering(settings: Settings, store: Store, order: Order, stop: Stop, tell: Telling) -> _Answering:
    """Before the watch is opened: what cannot be asked, or by a model that is not there, is refused."""
    clock = steady()
    _check_questions(order)
    answerer, alias, defaults = _answerer(settings, store, order, stop, tell, clock)
    return _Answering(answerer=answerer, model=alias, asking=order.questions.asking(defaults, order.form), clock=clock)


def _watcher(
    settings: Settings, store: Store, order: Order, hold: Hold, answering: _Answering, stop: Stop, tell: Telling
) -> Watcher:
    rules = Rules(order.plan)
    drops = Drops(
        store=store,
        origin=f"watch:{order.called}",
        spec={"model": answering.model, **order.asked, "no_cache": order.no_cache},
        model=answering.model,
        asking=answering.asking,
        terms=order.terms,
        columns=tag_columns(rules, settings.media_root),
    )
    return Watcher(
        store=store,
        hold=hold,
        name=order.called,
        drops=drops,
        rules=rules,
        answerer=answering.answerer,
        bell=stop,
        clock=answering.clock,
        tell=tell,
        media_root=settings.media_root,
        allowed_roots=settings.allowed_roots,
    )


def _answerer(
    settings: Settings, store: Store, order: Order, stop: Stop, tell: Telling, clock: Callable[[], float]
) -> tuple[Answerer, str, Defaults]:
    """Who answers, the model's alias, and what suits it."""

    def say(text: str) -> None:
        tell("note", text)

    if not order.local:
        from pipeline import broker

        alias, defaults = to_ask(store, settings.model, settings.home, tell=say)
        queue = broker.CeleryQueue(broker.app(settings), alias)
        return Sending(store=store, queue=queue, model=alias, clock=clock, tell=tell), alias, defaults
    model = use(store, settings.model, settings.home, tell=say)
    config = WorkerConfig.of(settings, model.path, order.engine)

    def start() -> Worker:
        if not order.engine.unverified:
            ensure(store, model, config, tell=say, pause=stop.heed)
        return Worker(store, model, config)

    resident = Resident(store=store, model=model.alias, start_worker=start, stop=stop, tell=tell)
    return resident, model.alias, model.defaults


def _check_questions(order: Order) -> None:
    """Questions that use columns nobody fills in are refused before the first file comes."""
    row = Row(pictures=(), columns={"tags": []} if order.plan.tags else None)
    for _ in order.questions.checked(iter([row])):
        pass


def steady() -> Callable[[], float]:
    """Seconds since 1970 that go on evenly, whatever happens to this machine's clock."""
    offset = time.time() - time.monotonic()
    return lambda: offset + time.monotonic()


@contextmanager
def ending(stop: Stop) -> Iterator[list[int]]:
    """Ctrl-C and SIGTERM ask to stop. Gives the signals that came."""
    came: list[int] = []

    def heard(number: int, frame: object) -> None:
        came.append(number)
        stop.ask()

    with heeding(heard):
        yield came


def _code(signals: list[int], otherwise: int) -> int:
    """Ctrl-C is an interruption; SIGTERM is how a service ends in order."""
    return INTERRUPTED if signal.SIGINT in signals else otherwise
