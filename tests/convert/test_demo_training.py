"""The demo model can be trained from nothing: it learns, repeats itself, and goes on where it stopped."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean

import pytest
import torch
from safetensors.torch import load_file

from workers.demo.plan import CHECKPOINT, STATE, Plan
from workers.demo.train import train
from workers.demo.world import COLORS, SIZES

pytestmark = [pytest.mark.timeout(1800), pytest.mark.filterwarnings("default")]

TINY = Plan(seed=5, pictures=2, patch_steps=3, joint_steps=4)
SHORT = Plan(seed=3, patch_steps=400, joint_steps=120)


@dataclass
class Told:
    """Figures of each step, by name."""

    figures: list[dict[str, float]] = field(default_factory=list)

    def tell(self, step: int, figures: dict[str, float]) -> None:
        assert step == len(self.figures)
        self.figures.append(figures)

    def mean(self, name: str, steps: slice) -> float:
        return fmean(figures[name] for figures in self.figures[steps])


class Stopped(Exception):
    """As a power cut would."""


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> Told:
    told = Told()
    train(SHORT, tmp_path_factory.mktemp("run"), tell=told.tell, scenes=20)
    return told


def test_the_tower_learns_to_see(learned: Told) -> None:
    first, last = slice(0, 20), slice(SHORT.patch_steps - 40, SHORT.patch_steps)
    assert learned.mean("loss", last) < 0.5 * learned.mean("loss", first)
    assert learned.mean("color", last) > 3 / len(COLORS)
    assert learned.mean("size", last) > 1.2 / len(SIZES)


def test_the_model_learns_to_speak(learned: Told) -> None:
    first, last = slice(SHORT.patch_steps, SHORT.patch_steps + 10), slice(-20, None)
    assert learned.mean("answers", last) < 0.4 * learned.mean("answers", first)
    assert learned.mean("tokens", last) > 0.4


def test_a_seed_gives_one_model(tmp_path: Path) -> None:
    once, again = (train(TINY, tmp_path / name, tell=Told().tell, scenes=2) for name in ("once", "again"))
    assert_equal(once, again)


def test_another_seed_gives_another_model(tmp_path: Path) -> None:
    once = train(TINY, tmp_path / "once", tell=Told().tell, scenes=2)
    other = train(
        Plan(seed=6, pictures=2, patch_steps=3, joint_steps=4),
        tmp_path / "other",
        tell=Told().tell,
        scenes=2,
    )
    with pytest.raises(AssertionError):
        assert_equal(once, other)


@pytest.mark.parametrize("stop", [1, 3, 4, 5, 6])
def test_a_run_that_was_cut_goes_on(tmp_path: Path, stop: int) -> None:
    """In the stages and between them."""

    def tell(step: int, figures: dict[str, float]) -> None:
        if step == stop:
            raise Stopped

    with pytest.raises(Stopped):
        train(TINY, tmp_path / "cut", tell=tell, save_every=1, scenes=2)
    told = []
    cut = train(TINY, tmp_path / "cut", tell=lambda step, _: told.append(step), resume=True, save_every=1, scenes=2)
    assert told == list(range(stop, TINY.steps))
    assert_equal(cut, train(TINY, tmp_path / "whole", tell=Told().tell, scenes=2))


def test_a_state_of_another_plan_is_refused(tmp_path: Path) -> None:
    train(TINY, tmp_path, tell=Told().tell, scenes=2)
    with pytest.raises(ValueError, match="another plan"):
        train(SHORT, tmp_path, tell=Told().tell, resume=True, scenes=2)


def assert_equal(one: Path, other: Path) -> None:
    weights, others = (load_file(folder / "model.safetensors") for folder in (one, other))
    assert weights.keys() == others.keys()
    assert all(torch.equal(weight, others[name]) for name, weight in weights.items())
    assert one.name == other.name == CHECKPOINT
    assert (one.parent / STATE).exists()
