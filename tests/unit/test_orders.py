"""Commands as schedules keep them."""

from __future__ import annotations

import shlex
from pathlib import Path

import click
import pytest

from pipeline.errors import CommandUnfit, PixmillError, UsageError
from pipeline.occasion import Occasion
from pipeline.schedules import order
from pipeline.schedules.doubts import doubts
from pipeline.schedules.order import Order
from pipeline.settings import Settings, read_settings
from pipeline.store import Store


def parsed(*words: str, settings: Settings | None = None) -> Order:
    return Order.parse(words, settings or read_settings())


def test_a_command_is_kept_as_what_was_given_with_absolute_places(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    kept = parsed("submit", "in", "a*.jpg", "https://example.org/x.jpg", "-q", "What?", "--deadline", "6h", "--force")
    assert kept.given == {
        "paths": [f"file://{tmp_path}/in", f"file://{tmp_path}/a*.jpg", "https://example.org/x.jpg"],
        "question": ["What?"],
        "deadline": "6h",
        "force": True,
    }
    assert Order.from_stored(kept.stored()) == kept


def test_what_lies_below_the_media_root_is_found_below_another_machine_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    (here / "in").mkdir(parents=True)
    (there / "in").mkdir(parents=True)
    monkeypatch.chdir(here)
    kept = parsed("submit", "in/*.jpg", settings=read_settings({"media_root": str(here)}))
    assert kept.given["paths"] == ["media:in/*.jpg"]
    assert kept.unseen(read_settings({"media_root": str(there)})) is None
    (there / "in").rmdir()
    assert kept.unseen(read_settings({"media_root": str(there)})) == str(there / "in")
    assert kept.unseen(read_settings()) == "media:in/*.jpg"


def test_a_model_is_named_so_that_every_machine_means_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    (tmp_path / "demo").mkdir()
    assert parsed("submit", "in", "-m", "mine").given["model"] == str(tmp_path / "mine")
    assert parsed("submit", "in", "-m", "demo").given["model"] == "demo", "it goes by its name"
    assert parsed("submit", "in", settings=read_settings({"model": "tiny"})).given["model"] == "tiny"
    assert "model" not in parsed("submit", "in").given


def test_a_model_s_directory_is_seen_or_not_like_other_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("in", "mine"):
        (tmp_path / name).mkdir()
    kept = parsed("submit", "in", "-m", "mine")
    assert kept.unseen(read_settings()) is None
    (tmp_path / "mine").rmdir()
    assert kept.unseen(read_settings()) == str(tmp_path / "mine")


def test_the_hours_of_a_window_are_of_one_zone_wherever_it_is_performed() -> None:
    kept = Order.parse(("submit", "in", "--window", "22:00-06:00"), read_settings(), "Asia/Tokyo")
    assert kept.given["window"] == "22:00-06:00 Asia/Tokyo"
    named = Order.parse(("submit", "in", "--window", "22:00-06:00 UTC"), read_settings(), "Asia/Tokyo")
    assert named.given["window"] == "22:00-06:00 UTC"


@pytest.mark.parametrize(
    "stored",
    [
        {},
        {"command": "dream", "given": {}},
        {"command": "submit", "given": {"paths": [], "twice": True}},
        {"command": "submit", "given": {"paths": [{"folder": "/in"}]}},
        {"command": "submit", "given": {"paths": {"folder": "/in"}}},
    ],
)
def test_what_a_newer_version_stored_is_not_performed_in_part(stored: dict[str, object]) -> None:
    with pytest.raises(CommandUnfit, match="this version of Pixmill does not know"):
        Order.from_stored(stored)


def test_what_would_fail_right_now_is_said(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    here = read_settings()
    unseen, unknown, unnamed = doubts(parsed("submit", "in", "-m", "none", "--on-done-run", "mail"), here, store)
    assert unseen == f"{tmp_path}/in is not there."
    assert "no model 'none'" in unknown
    assert "--on-done-run mail" in unnamed
    for words in (("rerun", "none"), ("export", "--batch", "none", "-o", "x.csv")):
        (sentence,) = doubts(parsed(*words), here, store)
        assert "no batch 'none'" in sentence
    (tmp_path / "in").mkdir()
    assert list(doubts(parsed("submit", "in", "-m", "demo"), here, store)) == []


def test_the_examples_of_the_documentation_can_be_added() -> None:
    lines = (Path(__file__).parents[2] / "docs" / "schedules.md").read_text().splitlines()
    examples = [line.partition(" -- ")[2] for line in lines if line.startswith("    pixmill schedule add")]
    assert len(examples) >= 4
    for example in examples:
        parsed(*shlex.split(example))


def test_a_command_is_performed_as_it_was_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    @click.command()
    @click.argument("paths", nargs=-1)
    @click.option("-q", "--question", multiple=True)
    @click.option("--force/--missing-only")
    @click.option("--fresh", is_flag=True)
    @click.option("--limit", type=int)
    @click.option("--name")
    def submit(**values: object) -> None:
        seen.append((values, Occasion.current("submit")))

    monkeypatch.setattr("pipeline.commands.submit.submit", submit)
    monkeypatch.chdir(tmp_path)
    kept = parsed("submit", "--missing-only", "--limit", "3", "-q", "-a", "-q", "b=c", "--", "-odd", "in")
    occasion = Occasion(origin="schedule:x", batch="x-1")
    kept.perform(read_settings(), occasion)
    paths = (f"{tmp_path}/-odd", f"{tmp_path}/in")
    expected = {"paths": paths, "question": ("-a", "b=c"), "force": False, "fresh": False, "limit": 3, "name": None}
    assert seen == [(expected, occasion)]


def test_a_rerun_needs_nobody_to_say_yes() -> None:
    kept = parsed("batch", "rerun", "night", "--fresh")
    assert kept == parsed("rerun", "night", "--fresh")
    assert kept.given == {"yes": True, "name": "night", "fresh": True}


def test_every_file_of_a_command_is_kept_as_a_place() -> None:
    """A new option with a file belongs into the lists of those; here it would be seen."""
    known = {*order.READ, *order.WRITTEN}
    for entry in order.COMMANDS.values():
        for parameter in entry.load().params:
            if parameter.metavar in ("FILE", "DIR", "OUT") or parameter.name == "paths":
                assert parameter.name in known


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["submt", "in"], "did you mean 'submit'"),
        (["run", "in"], "none of"),
        (["batch"], "none of"),
        (["submit", "in", "--dry-run"], "rehearsal"),
        (["submit", "--from-file", "-"], "not -"),
        (["export", "-o", "-"], "not -"),
        (["export"], "nobody is there to read"),
        (["submit"], "which pictures"),
        (["submit", "-q", "What?"], "which pictures"),
    ],
)
def test_what_cannot_be_scheduled_is_said_when_it_is_added(words: list[str], why: str) -> None:
    with pytest.raises(CommandUnfit, match=why):
        parsed(*words)


def test_the_command_itself_says_what_it_cannot_read() -> None:
    with pytest.raises(click.NoSuchOption):
        parsed("submit", "in", "--nope")
    with pytest.raises(PixmillError, match=r"no file 'none\.yaml'"):
        parsed("submit", "in", "--questions", "none.yaml")
    with pytest.raises(UsageError, match="needs a span"):
        parsed("submit", "in", "--deadline", "2030-01-01T00:00")


def test_a_schedule_s_terms_are_for_submissions_and_given_once() -> None:
    assert parsed("submit", "in").with_terms(window=None, deadline="6h").given["deadline"] == "6h"
    with pytest.raises(CommandUnfit, match="twice"):
        parsed("submit", "in", "--deadline", "2h").with_terms(deadline="6h")
    with pytest.raises(CommandUnfit, match="for schedules that submit"):
        parsed("rerun", "x").with_terms(window="22:00-06:00 UTC")
    with pytest.raises(UsageError, match="needs a span"):
        parsed("submit", "in").with_terms(deadline="2030-01-01T00:00")
