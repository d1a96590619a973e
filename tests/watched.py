"""A watcher at work in a thread, with a real worker, decoders and the fake engine, for tests that drop files."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from pipeline.locators import locate
from pipeline.options import Terms
from pipeline.owner import Owner
from pipeline.prompts import Defaults
from pipeline.questions import Questions
from pipeline.store.watched import FileState, WatchedFile
from pipeline.watching.drops import Drops
from pipeline.watching.holding import LEASE_S, Hold, holding
from pipeline.watching.plan import Plan
from pipeline.watching.rules import Rules
from pipeline.watching.tags import tag_columns
from pipeline.watching.watcher import Watcher
from tests.house import House
from workers.local import Stop
from workers.resident import Resident
from workers.watching import steady

PATIENCE_S = 60.0
LOOK_S = 0.1
QUICK: dict[str, Any] = {"stable_for": 0.15, "rescan": 0.5}


class Watch:
    """A watch of folders. Entered it runs, left it has ended. `heard` is called while the watcher tells something."""

    def __init__(
        self,
        house: House,
        *folders: Path,
        questions: tuple[str, ...] = ("What?",),
        clock: Callable[[], float] | None = None,
        name: str = "in",
        heard: Callable[[str, dict[str, Any]], object] = lambda event, facts: None,
        **plan: Any,
    ) -> None:
        self.house, self.store = house, house.store
        self.plan = Plan(folders=tuple(map(str, folders)), **QUICK | plan)
        self.stop = Stop()
        self.events: list[tuple[str, dict[str, Any]]] = []
        self._said, self._heard = threading.Condition(), heard
        rules, model = Rules(self.plan), house.model()
        owner = replace(Owner.current(), host=name)
        id = self.store.watches.open(name, self.plan.spec(), owner, LEASE_S)
        assert isinstance(id, int)
        self.resident = Resident(
            store=self.store, model=model.alias, start_worker=house.worker, stop=self.stop, tell=self._tell
        )
        asking = Questions(question=questions).asking(Defaults())
        drops = Drops(
            store=self.store,
            origin=f"watch:{name}",
            spec={"model": model.alias},
            model=model.alias,
            asking=asking,
            terms=Terms(),
            columns=tag_columns(rules, None),
        )
        self.watcher = Watcher(
            store=self.store,
            hold=Hold(self.store, id, owner),
            name=name,
            drops=drops,
            rules=rules,
            answerer=self.resident,
            bell=self.stop,
            clock=clock or steady(),
            tell=self._tell,
        )
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.ask()
        self._thread.join()
        if self._error:
            raise self._error

    def to_the_end(self) -> None:
        """Wait until it ends by itself."""
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()

    def until(self, condition: Callable[[], bool], what: str = "") -> None:
        """Wait until something holds, for as long as things happen; it is looked at now and then."""
        with self._said:
            seen, idle = -1, 0.0
            while not (self._error or condition()) and idle < PATIENCE_S:
                idle = 0.0 if len(self.events) > seen else idle + LOOK_S
                seen = len(self.events)
                self._said.wait(LOOK_S)
        if self._error:
            raise self._error
        assert condition(), (what, self.events[-20:], self.files())

    def until_answered(self, count: int) -> None:
        self.until(lambda: self.states()[FileState.DONE] >= count, f"{count} answered")

    def until_told(self, event: str, times: int = 1) -> dict[str, Any]:
        """Wait for an event. Returns what the last of them told."""
        self.until(lambda: len(self.told(event)) >= times, event)
        return self.told(event)[-1]

    def told(self, event: str) -> list[dict[str, Any]]:
        return [facts for said, facts in self.events if said == event]

    def states(self) -> Counter[str]:
        return Counter(self.store.watches.files(self.watcher.hold.id).counts())

    def files(self) -> dict[str, int]:
        return dict(self.states())

    def file(self, path: Path) -> WatchedFile | None:
        found = dict(self.store.watches.of(locate(path, None)))
        return found.get(self.watcher.name)

    def _run(self) -> None:
        hold = self.watcher.hold
        with holding(self.store, hold.id, hold.owner) as self.watcher.hold:
            try:
                self.watcher.run()
            except BaseException as error:  # noqa: BLE001  handed to the test
                self._error = error
            finally:
                self.resident.wind_up()
                if self._error is None:
                    self.watcher.end()

    def _tell(self, event: str, text: str | None, **facts: Any) -> None:
        self._heard(event, facts)
        with self._said:
            self.events.append((event, {"text": text, **facts}))
            self._said.notify_all()


def answered(house: House) -> Counter[str]:
    """How many answers were ever given about each picture, by its name."""
    return Counter(row.pictures[0].name for row in house.store.views.answers(history=True))


def once(house: House, *paths: Path) -> None:
    """Each of these was answered exactly once, and nothing else was."""
    assert answered(house) == Counter(str(path) for path in paths)


def child(url: str, folder: Path, prefix: tuple[str, ...] = ()) -> subprocess.Popen[str]:
    """A watcher as a process of its own, which can be killed."""
    command = [*prefix, sys.executable, "-m", "tests.watcher_child", url, str(folder)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def lines(process: subprocess.Popen[str]) -> Iterator[dict[str, Any]]:
    """What such a watcher tells."""
    assert process.stdout
    return map(json.loads, process.stdout)
