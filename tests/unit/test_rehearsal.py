from __future__ import annotations

from pipeline.rehearsal import SHOWN, Rehearsal
from pipeline.store.pace import Pace
from pipeline.store.values import Added


def test_it_says_what_how_much_and_how_long() -> None:
    added = Added(new=5, requeued=1, linked_pending=6, linked_done=3, invalid=SHOWN + 2, waiting=4)
    errors = tuple(f"line {number}: no" for number in range(SHOWN))
    told = Rehearsal(added=added, errors=errors, pace=Pace(rate=2.0, answers=40))
    first, *reasons, more, last = told.sentences()
    assert first == (
        "6 to ask, 6 already waiting, 4 that earlier answers decide about, 12 that cannot be asked about; "
        "3 known already."
    )
    assert reasons == [f"  line {number}: no" for number in range(SHOWN)]
    assert more == "  and 2 more such rows"
    assert last == "About 6.0 s at 2.0 answers/s, as measured on the last 40 answers of this model."
    assert told.document()["seconds"] == 6.0
    assert told.document()["answers_per_second"] == 2.0


def test_without_a_rate_it_says_so_and_with_nothing_to_ask_nothing() -> None:
    unknown = Rehearsal(added=Added(new=1), errors=(), pace=None)
    assert list(unknown.sentences())[-1] == "How long it takes cannot be said: no rate known yet."
    assert unknown.document()["seconds"] is None
    assert list(Rehearsal(added=Added(linked_done=2), errors=(), pace=None).sentences()) == [
        "Nothing to ask; 2 known already."
    ]
