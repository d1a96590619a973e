from __future__ import annotations

import pytest
import sqlalchemy as sa

from pipeline import tables
from pipeline.store import following


@pytest.mark.parametrize(
    ("statement", "index"), [(following._STILL_OPEN, "ix_batch_items_open"), (following._NEXT, "PRIMARY KEY")]
)
def test_a_look_passes_over_nothing_that_is_done(statement: sa.Select[int, int], index: str) -> None:
    """Answered from an index, from the mark on: what a look costs does not grow with the batch."""
    engine = sa.create_engine("sqlite://", poolclass=sa.StaticPool)
    tables.metadata.create_all(engine)
    given = statement.params({"batch": 1, "row": 5, "ask": 0, "end": 9})
    text = given.compile(engine, compile_kwargs={"literal_binds": True})
    with engine.connect() as connection:
        plan = " ".join(row.detail for row in connection.execute(sa.text(f"EXPLAIN QUERY PLAN {text}")))
    engine.dispose()
    assert "SEARCH batch_items USING" in plan and index in plan and "TEMP B-TREE" not in plan, plan
