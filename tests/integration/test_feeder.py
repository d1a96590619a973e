"""workers.feeder: jobs through real decoder and engine processes, with the fake engine, into a real store."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.errors import EngineFailed
from pipeline.jobs import Item, JobSpec
from pipeline.locators import Picture
from pipeline.owner import Owner
from pipeline.prompts import Prompt, Sampling
from pipeline.store import Store
from pipeline.store.values import Added, Counts
from pipeline.submit import ask_each, submit
from tests.house import House, colour, draw, draw_many, saying
from workers.decoders import AHEAD
from workers.engine.requests import Completion, Request
from workers.local import Stop


@pytest.fixture
def house(sqlite_store: Store) -> House:
    return House(sqlite_store)


def texts(house: House, **which: object) -> Counter[str]:
    return Counter(row.text for row in house.store.views.answers(**which))  # type: ignore[arg-type]


def test_every_question_about_every_picture_is_answered_about_that_picture(house: House, tmp_path: Path) -> None:
    paths = draw_many(tmp_path / "in", 50)
    outcome = house.run(paths, ["What?", "Where?"])
    assert (outcome.counts.total, outcome.counts.done) == (100, 100)
    assert texts(house) == Counter(saying(q, n) for n in range(50) for q in ("What?", "Where?"))


@pytest.mark.parametrize("questions", [3, 4, 7])
def test_all_questions_about_a_picture_reach_the_engine_together(
    house: House, tmp_path: Path, questions: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.max_num_seqs = 8
    house.script = {"step_s": 0.001, "tokens": (1, 5)}
    worker = house.worker()
    asked: list[list[int]] = []
    submit_all = worker.engine.submit_all

    def watched(requests: Sequence[Request]) -> list[Future[Completion]]:
        asked.append([request.frames[0].offset for request in requests])
        return submit_all(requests)

    monkeypatch.setattr(worker.engine, "submit_all", watched)
    wanted = [f"question {number}?" for number in range(questions)]
    assert house.run(draw_many(tmp_path / "in", 30), wanted, worker=worker).counts.done == 30 * questions
    torn = [group for offsets in asked for group in Counter(offsets).values() if group % questions]
    assert not torn
    assert len(asked) > 5, "all at once would prove nothing"


def test_equal_pictures_with_several_questions_are_asked_about_once(house: House, tmp_path: Path) -> None:
    twins = [draw(tmp_path / f"{name}.bmp", 1) for name in "abcdef"]
    outcome = house.run(twins, ["What?", "Where?", "Who?"])
    assert (outcome.counts.done, outcome.tally["cached"]) == (18, 15)
    assert texts(house) == Counter({saying(question, 1): 6 for question in ("What?", "Where?", "Who?")})


def test_a_question_that_kills_the_engine_in_a_wave_costs_one_job(house: House, tmp_path: Path) -> None:
    house.script = {"die_on": "deadly", "step_s": 0.002, "tokens": (1, 5)}
    (path,) = draw_many(tmp_path / "in", 1)
    outcome = house.run([path], ["What?", "deadly?", "Where?"])
    assert (outcome.counts.done, outcome.counts.failed) == (2, 1)
    (failed,) = house.store.views.failed()
    assert failed.error_code == "engine_crashed"
    assert texts(house) == Counter([saying("What?", 0), saying("Where?", 0)])


def test_running_again_asks_nothing(house: House, tmp_path: Path) -> None:
    paths = draw_many(tmp_path / "in", 20)
    house.run(paths)
    again = house.run(paths)
    assert again.added.linked_done == 20
    assert again.tally == {}
    assert again.counts.done == 20


def test_equal_bytes_under_another_name_come_from_the_cache(house: House, tmp_path: Path) -> None:
    first, second = draw(tmp_path / "a.bmp", 1), draw(tmp_path / "b.bmp", 1)
    house.run([first])
    outcome = house.run([second])
    assert outcome.tally["cached"] == 1
    (cached,) = [row for row in house.store.views.answers() if row.cached_from]
    assert cached.text == saying("What?", 1)


def test_equal_bytes_asked_at_the_same_time_are_asked_once(house: House, tmp_path: Path) -> None:
    twins = [draw(tmp_path / f"{name}.bmp", 1) for name in "abcdef"]
    outcome = house.run(twins)
    assert outcome.counts.done == 6
    assert outcome.tally["cached"] == 5


def test_force_asks_again_and_keeps_the_old_answer(house: House, tmp_path: Path) -> None:
    paths = draw_many(tmp_path / "in", 3)
    house.run(paths)
    outcome = house.run(paths, force=True)
    assert outcome.tally["done"] == 3
    assert outcome.tally["cached"] == 0
    assert sum(texts(house, history=True).values()) == 6


def test_a_temperature_without_a_seed_is_never_cached(house: House, tmp_path: Path) -> None:
    house.script = {"text": "{seed}"}
    twins = [draw(tmp_path / f"{name}.bmp", 1) for name in "abcd"]
    outcome = house.run(twins, temperature=0.7)
    assert outcome.tally["cached"] == 0
    seeds = {row.seed for row in house.store.views.answers()}
    assert len(seeds) == 4
    assert {int(text) for text in texts(house)} == seeds


def test_a_seed_makes_sampling_repeatable_and_is_stored(house: House, tmp_path: Path) -> None:
    house.script = {"text": "{seed}"}
    twins = [draw(tmp_path / f"{name}.bmp", 1) for name in "ab"]
    outcome = house.run(twins, temperature=0.7, seed=5)
    assert outcome.tally["cached"] == 1
    assert {row.seed for row in house.store.views.answers()} == {5}


def test_bad_pictures_fail_with_their_codes_and_stop_nobody(house: House, tmp_path: Path) -> None:
    good = draw_many(tmp_path / "in", 10)
    (tmp_path / "text.jpg").write_text("not a picture")
    (tmp_path / "empty.png").touch()
    bad = [tmp_path / "text.jpg", tmp_path / "empty.png", tmp_path / "gone.jpg"]
    outcome = house.run([*good, *bad])
    assert (outcome.counts.done, outcome.counts.failed) == (10, 3)
    codes = Counter(row.error_code for row in house.store.views.failed())
    assert codes == {"image_unsupported": 1, "image_truncated": 1, "image_missing": 1}


def test_a_picture_that_kills_the_engine_costs_one_job(house: House, tmp_path: Path) -> None:
    house.script = {"die_on_pixel": colour(13), "step_s": 0.002, "tokens": (1, 5)}
    outcome = house.run(draw_many(tmp_path / "in", 40))
    assert (outcome.counts.done, outcome.counts.failed) == (39, 1)
    (failed,) = house.store.views.failed()
    assert failed.error_code == "engine_crashed"
    assert failed.pictures[0].name.endswith("00013.bmp")
    assert outcome.tally["crashes"] == 3


def test_a_picture_that_stalls_the_engine_costs_one_job(house: House, tmp_path: Path) -> None:
    house.script = {"stall_on": "hang"}
    house.stall_s = 0.5
    paths = draw_many(tmp_path / "in", 6)
    house.run(paths[:5])
    outcome = house.run(paths[5:], ["hang", "What?"])
    assert (outcome.counts.done, outcome.counts.failed) == (1, 1)
    (failed,) = house.store.views.failed()
    assert failed.error_code == "engine_stalled"


def test_a_killed_engine_loses_and_doubles_nothing(house: House, tmp_path: Path) -> None:
    house.script = {"step_s": 0.005, "tokens": (1, 4)}
    worker = house.worker()
    kills, next_kill = 0, 20

    def kill_now_and_then(counts: Counts) -> None:
        nonlocal kills, next_kill
        if kills < 5 and counts.done >= next_kill and worker.engine.child.ready is not None:
            os.kill(worker.engine.child.pid or 0, signal.SIGKILL)
            kills, next_kill = kills + 1, counts.done + 20

    outcome = house.run(draw_many(tmp_path / "in", 600), worker=worker, tell=kill_now_and_then)
    assert kills == 5
    assert outcome.counts.done == 600
    assert texts(house, history=True) == Counter(saying("What?", number) for number in range(600))


def test_a_killed_decoder_costs_at_most_its_picture(house: House, tmp_path: Path) -> None:
    worker = house.worker()
    killed = False

    def kill_once(counts: Counts) -> None:
        nonlocal killed
        if not killed and counts.done:
            os.kill(worker.decoders.children[0].pid or 0, signal.SIGKILL)
            killed = True

    house.script = {"step_s": 0.002}
    outcome = house.run(draw_many(tmp_path / "in", 600), worker=worker, tell=kill_once)
    assert killed
    assert outcome.counts.done + outcome.counts.failed == 600
    assert outcome.counts.failed <= 1


def test_stopping_gives_back_what_has_not_begun(house: House, tmp_path: Path) -> None:
    house.script = {"step_s": 0.05, "tokens": (3, 3)}
    stop = Stop()
    paths = draw_many(tmp_path / "in", 60)

    def stop_when_busy(counts: Counts) -> None:
        if counts.done:
            stop.ask()

    outcome = house.run(paths, stop=stop, tell=stop_when_busy)
    assert 0 < outcome.counts.done < 60
    assert outcome.counts.queued == 60 - outcome.counts.done
    rest = house.run(paths)
    assert rest.counts.done == 60
    assert rest.added.linked_done == outcome.counts.done


def test_stopping_twice_does_not_wait(house: House, tmp_path: Path) -> None:
    house.script = {"stall_on": "What?"}
    stop = Stop()
    worker = house.worker()

    def stop_twice(counts: Counts) -> None:
        if counts.running and worker.engine.runtime:
            stop.ask()
            stop.ask()

    outcome = house.run(draw_many(tmp_path / "in", 10), worker=worker, stop=stop, tell=stop_twice)
    assert (outcome.counts.queued, outcome.counts.running) == (10, 0)


def test_stopping_while_the_model_loads_asks_nothing(house: House, tmp_path: Path) -> None:
    house.script = {"load_s": 3.0}
    stop = Stop()

    def stop_when_claimed(counts: Counts) -> None:
        if counts.running and not stop.times:
            threading.Timer(0.5, stop.ask).start()

    outcome = house.run(draw_many(tmp_path / "in", 10), stop=stop, tell=stop_when_claimed)
    assert (outcome.counts.queued, outcome.counts.running, outcome.counts.done) == (10, 0, 0)


def test_an_engine_that_dies_while_it_is_to_stop_is_asked_no_more(house: House, tmp_path: Path) -> None:
    house.script = {"stall_on": "What?"}
    house.stall_s = 0.5
    stop = Stop()
    worker = house.worker()

    def stop_when_busy(counts: Counts) -> None:
        if counts.running and worker.engine.runtime and not stop.times:
            stop.ask()

    outcome = house.run(draw_many(tmp_path / "in", 10), worker=worker, stop=stop, tell=stop_when_busy)
    assert (outcome.counts.queued, outcome.counts.running) == (10, 0)


def test_an_error_while_it_is_to_stop_is_told(house: House, tmp_path: Path) -> None:
    house.script = {"stall_on": "What?"}
    stop = Stop()
    worker = house.worker()

    def break_the_engine(counts: Counts) -> None:
        # Inside the engine: else all may be given back before its death shows.
        if worker.engine._sent and not stop.times:
            stop.ask()
            worker.engine.child._failed_starts = 99
            os.kill(worker.engine.child.pid or 0, signal.SIGKILL)

    with pytest.raises(EngineFailed):
        house.run(draw_many(tmp_path / "in", 10), worker=worker, stop=stop, tell=break_the_engine)


def test_a_worker_that_lost_its_lease_begins_anew(house: House, tmp_path: Path) -> None:
    """As after a laptop's sleep, when another program took it for dead: it could claim nothing more."""
    house.script = {"step_s": 0.02, "tokens": (20, 20)}
    someone_else = replace(Owner.current(), pid=1)
    taken: list[int] = []

    def take_the_lease(counts: Counts) -> None:
        if counts.done and not taken:
            later = Store(house.store._engine, clock=lambda: time.time() + 3600)
            taken.append(later.reap(someone_else))

    outcome = house.run(draw_many(tmp_path / "in", 24), worker=house.worker(lease_s=1.0), tell=take_the_lease)
    assert taken and taken[0] > 0
    assert outcome.counts.done == 24
    assert texts(house, history=True) == Counter(saying("What?", number) for number in range(24))


def test_tickets_end_with_the_feeder(house: House, tmp_path: Path) -> None:
    house.script = {"stall_on": "What?"}
    batch = house.store.open_batch(None, origin="test", spec={})
    pictures = [Picture.at(path, None) for path in draw_many(tmp_path / "in", 30)]
    house.model()
    sum(submit(house.store, batch.id, ask_each(pictures, [Prompt.ask("What?")], "fake")), Added())
    (claimed, standing) = (ticket.ids for ticket in house.store.tickets("fake", size=16, count=2))
    with house.worker() as worker:
        futures = [worker.feeder.take(claimed), worker.feeder.take(standing)]
        while not worker.feeder.holding:
            time.sleep(0.01)
        assert not any(future.done() for future in futures)
    assert all(future.done() for future in [*futures, worker.feeder.take(standing)])


def test_no_more_pictures_are_opened_than_the_budget_and_the_decoders_hold(house: House, tmp_path: Path) -> None:
    house.max_num_seqs = 8
    size = 200 * 200 * 3
    paths = [draw(tmp_path / f"{number}.bmp", number, (200, 200)) for number in range(24)]
    worker = house.worker(pixel_budget=2 * size)
    held: list[int] = []
    filled = worker._pixels.filled

    def watched(offset: int, width: int, height: int) -> None:
        filled(offset, width, height)
        held.append(worker._pixels._spent // size)

    worker._pixels.filled = watched  # type: ignore[method-assign]
    assert house.run(paths, worker=worker).counts.done == 24
    assert max(held) <= 1 + 2 * AHEAD  # the last but one picture within the budget, and what was under way


def test_jobs_that_share_pictures_do_not_wait_for_each_other_for_ever(house: House, tmp_path: Path) -> None:
    house.max_num_seqs = 1
    pictures = [Picture.at(path, None) for path in draw_many(tmp_path / "in", 33)]
    groups = [pictures[:16], pictures[16:32], [pictures[32], *pictures[:15]]]
    specs = [JobSpec.of(pictures=tuple(group), prompt=Prompt.ask("What?"), model="fake") for group in groups]
    outcome = house.run_items(Item(spec=spec, row=row) for row, spec in enumerate(specs))
    assert outcome.counts.done == 3


def test_what_was_read_is_noted_for_the_right_picture(house: House, tmp_path: Path) -> None:
    pictures = (Picture.at(tmp_path / "gone.bmp", None), Picture.at(draw(tmp_path / "a.bmp", 1), None))
    house.run_items([Item(spec=JobSpec.of(pictures=pictures, prompt=Prompt.ask("What?"), model="fake"), row=0)])
    (failed,) = house.store.views.failed()
    assert [picture.sha256 for picture in failed.pictures] == [None, None]


def test_pictures_beyond_the_budget_are_answered_one_after_the_other(house: House, tmp_path: Path) -> None:
    paths = [draw(tmp_path / f"{number}.bmp", number, (200, 200)) for number in range(12)]
    outcome = house.run(paths, worker=house.worker(pixel_budget=1))
    assert outcome.counts.done == 12


def test_a_changed_picture_is_answered_as_it_is_and_marked(house: House, tmp_path: Path) -> None:
    path = draw(tmp_path / "a.bmp", 1)
    named = Picture.at(path, None)
    draw(path, 2, (7, 5))
    house.run([named])
    (row,) = house.store.views.answers()
    assert row.text == saying("What?", 2, (7, 5))
    assert house.store.views.job(row.job).source_changed


def test_two_workers_share_one_database(house: House, tmp_path: Path) -> None:
    house.script = {"step_s": 0.002, "tokens": (1, 3)}
    paths = draw_many(tmp_path / "in", 200)
    outcomes = []
    threads = [threading.Thread(target=lambda: outcomes.append(house.run(paths))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [outcome.counts.done for outcome in outcomes] == [200, 200]
    assert sum(outcome.tally["done"] for outcome in outcomes) == 200
    assert all(outcome.tally["done"] > 0 for outcome in outcomes)


def test_more_pictures_than_a_job_may_have_are_refused(house: House, tmp_path: Path) -> None:
    pictures = tuple(Picture.at(path, None) for path in draw_many(tmp_path / "in", 17))
    specs = [JobSpec.of(some, Prompt.ask("What?"), "fake") for some in (pictures, pictures[:16])]
    outcome = house.run_items(Item(spec=spec, row=row) for row, spec in enumerate(specs))
    assert (outcome.counts.done, outcome.counts.failed) == (1, 1)
    (failed,) = house.store.views.failed()
    assert failed.error_code == "row_invalid"


def test_jobs_with_many_pictures_do_not_wait_for_each_other_for_ever(house: House, tmp_path: Path) -> None:
    house.max_num_seqs = 1
    pictures = [Picture.at(path, None) for path in draw_many(tmp_path / "in", 60)]
    groups = [tuple(pictures[start : start + 12]) for start in range(0, 60, 12)]
    specs = [JobSpec.of(pictures=group, prompt=Prompt.ask("What?"), model="fake") for group in groups]
    outcome = house.run_items(Item(spec=spec, row=row) for row, spec in enumerate(specs))
    assert outcome.counts.done == 5


# --- answers with a form -----------------------------------------------------------------------------


def run_held(house: House, paths: list[Path], form: dict[str, object], **sampling: object) -> Counts:
    prompt = Prompt.ask("What?", form=form, sampling=Sampling(**sampling))  # type: ignore[arg-type]
    return house.run_items(ask_each([Picture.at(path, None) for path in paths], [prompt], house.alias)).counts


def test_an_answer_of_the_asked_form_is_stored_with_its_value(house: House, tmp_path: Path) -> None:
    house.script = {"text": " YES. "}
    paths = [draw(tmp_path / "a.bmp", 1), draw(tmp_path / "b.bmp", 1)]
    assert run_held(house, paths, {"kind": "yes_no"}).done == 2
    rows = list(house.store.views.answers())
    assert [(row.text, row.parsed) for row in rows] == [("yes", True)] * 2
    assert sum(row.cached_from is not None for row in rows) == 1


def test_another_try_is_not_the_same_once_more(house: House, tmp_path: Path) -> None:
    """The fake engine says its seed: none at first, which is no number."""
    house.script = {"text": "{seed}"}
    assert run_held(house, [draw(tmp_path / "a.bmp", 1)], {"kind": "number"}).done == 1
    (row,) = house.store.views.answers()
    assert (row.text, row.parsed, row.seed) == ("1", 1, 1)


def test_an_answer_that_never_has_the_form_fails_with_its_text(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.store.endings.FIRST_PAUSE_S", 0.01)
    house.script = {"text": "a dog, I think", "tokens": (9, 9)}
    good = draw(tmp_path / "b.bmp", 2)
    house.run([good])
    counts = run_held(house, [draw(tmp_path / "a.bmp", 1)], {"kind": "yes_no"}, max_tokens=4)
    assert (counts.done, counts.failed) == (0, 1)
    (row,) = house.store.views.failed()
    assert (row.error_code, row.attempts) == ("invalid_answer", 4)
    assert row.error == (
        "the answer does not have the asked form: 'a dog, I think' is none of yes, no;"
        " it was cut after 4 tokens, and --max-tokens allows more"
    )


def test_what_cannot_be_held_to_a_form_is_counted(
    house: House, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    house.script = {"text": "yes", "holds_forms": False}
    held = Prompt.ask("What?", form={"kind": "yes_no"})
    pictures = [Picture.at(path, None) for path in draw_many(tmp_path / "in", 3)]
    outcome = house.run_items(ask_each(pictures, [held, Prompt.ask("What?")], house.alias))
    assert (outcome.counts.done, outcome.tally["unheld"]) == (6, 3)
    assert caplog.text.count("action=forms_unheld") == 1
