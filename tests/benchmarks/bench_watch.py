"""From a finished file to its stored answer, less the stability wait and the engine's own time.

The aim of issue 9: under 50 ms at the median, by events. Files come one at a time, as from a scanner.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

import sqlalchemy as sa

from pipeline import database
from pipeline.store import Store
from pipeline.tables import answers
from tests.house import House, draw
from tests.watched import Watch

FILES = 60
STABLE_S = 0.2
ANSWER_S = 0.02


def main() -> None:
    for name, how in {"native": {"rescan": 600.0}, "polled every 0.1 s": {"poll": 0.1}}.items():
        with tempfile.TemporaryDirectory() as place:
            left = measure(Path(place), how)
        shown = ", ".join(f"{part} {value * 1000:.0f} ms" for part, value in left.items())
        print(
            f"{name}: {shown} over {FILES} files (stability wait {STABLE_S:g} s and engine taken off)", file=sys.stderr
        )


def measure(place: Path, how: dict[str, float]) -> dict[str, float]:
    database.prepare(f"sqlite:///{place}/pixmill.db")
    store = Store(database.connect(f"sqlite:///{place}/pixmill.db"))
    folder = place / "in"
    folder.mkdir()
    finished: list[float] = []
    house = House(store, script={"step_s": ANSWER_S})
    with Watch(house, folder, **{"stable_for": STABLE_S} | how) as watch:  # type: ignore[arg-type]
        draw(folder / "first.bmp", 0)
        watch.until_answered(1)
        for number in range(1, FILES + 1):
            draw(folder / f"{number:03}.bmp", number)
            finished.append(time.time())
            watch.until_answered(number + 1)
    with store.reading() as connection:
        stored = connection.execute(sa.select(answers.c.created, answers.c.total_s).order_by(answers.c.id)).all()[1:]
    store.close()
    left = sorted(row.created - at - STABLE_S - row.total_s for row, at in zip(stored, finished, strict=True))
    return {"median": statistics.median(left), "90 %": left[len(left) * 9 // 10], "slowest": left[-1]}


if __name__ == "__main__":
    main()
