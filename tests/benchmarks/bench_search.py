"""How long the first pages of `pixmill answers` and of its searches take beside a million answers.

python -m tests.benchmarks.bench_search [--rows N] [--url URL]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from statistics import median
from typing import Any

import sqlalchemy as sa

from pipeline import database
from pipeline.store import Store
from pipeline.tables import answers
from tests import seeding

PAGE = 21
ASKED: dict[str, dict[str, Any]] = {
    "all": {},
    "precision=int4": {"where": ["precision=int4"]},
    "name=kind (1 in 2)": {"where": ["name=kind"]},
    "name=kind, batch of all": {"where": ["name=kind"], "batch": "first"},
    "name=color (none)": {"where": ["name=color"]},
    "device=CPU, answer_tokens>2": {"where": ["device=CPU", "answer_tokens>2"]},
    "precision=int8 (none)": {"where": ["precision=int8"]},
    "verdict=wrong (none)": {"where": ["verdict=wrong"]},
    "batch of all": {"batch": "first"},
    "red (all)": {"containing": "red"},
    '"red square" sta* (all)': {"containing": '"red square" sta*'},
    "item7 (1 in 1,000)": {"containing": "item7"},
    "item7 blue (1 in 1,000)": {"containing": "item7 blue"},
    "item* (all)": {"containing": "item*"},
    "unheard (none)": {"containing": "unheard"},
    "red, precision=int4": {"containing": "red", "where": ["precision=int4"]},
    "red, batch of all": {"containing": "red", "batch": "first"},
    "item7, history": {"containing": "item7", "history": True},
}


def fill(engine: sa.Engine, rows: int) -> None:
    with engine.begin() as connection:
        seeding.crowd(connection, rows, 1_000)
        connection.exec_driver_sql("UPDATE batch_items SET name = 'kind' WHERE MOD(row_no, 2) = 0")
        begun = time.perf_counter()
        seeding.words(connection, "a red square stands on a blue table", kinds=1_000)
        took = time.perf_counter() - begun
    print(f"{rows:>9,} answers, their words indexed in {took:.0f} s", flush=True)
    if engine.dialect.name == "postgresql":
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM ANALYZE")


def look(store: Store, what: str, asked: dict[str, Any]) -> None:
    looks, found = [], []
    for _ in range(3):
        begun = time.perf_counter()
        found = [row.id for row in store.views.answers(limit=PAGE, **asked)]
        looks.append(time.perf_counter() - begun)
    begun = time.perf_counter()
    further = (
        sum(1 for _ in store.views.answers(limit=PAGE, after=found[len(found) // 2] // 2, **asked)) if found else 0
    )
    next_page = (time.perf_counter() - begun) * 1e3
    first, again = looks[0] * 1e3, median(looks[1:]) * 1e3
    figures = f"first {first:8.1f} ms  then {again:8.1f} ms  far page {next_page:8.1f} ms"
    print(f"{what:<30} {figures}  {len(found):>3} {further:>3} rows", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--url", help="an empty database that may be filled; a temporary SQLite file without it")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        url = options.url or f"sqlite:///{folder}/pixmill.db"
        database.upgrade(url)
        engine = database.connect(url)
        with engine.connect() as connection:
            empty = connection.execute(sa.select(answers.c.id).limit(1)).scalar_one_or_none() is None
        if empty:
            fill(engine, options.rows)
        store = Store(engine, clock=lambda: seeding.NOW)
        for what, asked in ASKED.items():
            look(store, what, asked)
        store.close()


if __name__ == "__main__":
    main()
