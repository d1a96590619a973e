"""Trains the demo model from nothing: `python -m workers.demo.train --out DIR`.

Two stages: first the vision tower alone, told patch by patch what it sees; then the whole model on captions
and questions. The result depends on the plan (seed and steps), never on the clock; torch promises equal bits
only for the same version, number of threads and kind of processor.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import torch
from torch import nn
from torch.utils.data import DataLoader

from workers.demo.architecture import attend
from workers.demo.checking import check
from workers.demo.course import Course
from workers.demo.lessons import Lesson, Lessons
from workers.demo.plan import CHECKPOINT, STATE, Plan
from workers.demo.processor import save_processor
from workers.demo.pupil import Pupil
from workers.demo.tokenizer import make_tokenizer

HISTORY = "history.jsonl"
REPORT_EVERY = 50

Tell = Callable[[int, dict[str, float]], None]

DEFAULT = Plan()
log = logging.getLogger("pixmill.demo.train")


def train(
    plan: Plan,
    out: Path,
    *,
    tell: Tell,
    resume: bool = False,
    helpers: int = 1,
    save_every: int = 250,
    check_every: int = 1000,
    scenes: int = 200,
) -> Path:
    """Run the course; the folder of the finished checkpoint."""
    out.mkdir(parents=True, exist_ok=True)
    tokenizer = make_tokenizer()
    torch.manual_seed(plan.seed)
    torch.use_deterministic_algorithms(True)
    pupil, state = Pupil(tokenizer), out / STATE
    course = Course.load(state, plan, pupil) if resume and state.exists() else Course(plan, pupil)
    for lesson in lessons(course, tokenizer, helpers):
        tell(course.step, learn(course, lesson))
        course.advance()
        last = course.step == plan.steps
        if last or course.step % save_every == 0:
            course.save(state)
        if last or (course.joint and course.step % check_every == 0):
            note(out, course.step, check(pupil, tokenizer, scenes))
    return save(pupil, tokenizer, out / CHECKPOINT)


def lessons(course: Course, tokenizer: Any, helpers: int) -> Iterator[Lesson]:
    """The lessons still to come, drawn by helper processes while the model learns."""
    plan = course.plan
    series = Lessons(tokenizer, plan)
    ahead = 16 if helpers else None
    loader: DataLoader[Lesson] = DataLoader(
        series, None, sampler=range(course.step, plan.steps), num_workers=helpers, prefetch_factor=ahead
    )
    yield from loader


def learn(course: Course, lesson: Lesson) -> dict[str, float]:
    """One step."""
    for group in course.optimizer.param_groups:
        group["lr"] = course.plan.pace(course.step)
    loss, figures = (course.pupil.joint_loss if course.joint else course.pupil.patch_loss)(lesson)
    course.optimizer.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_([weight for _, weight in course.weights], 1.0)
    course.optimizer.step()
    return figures


class Progress:
    """Figures of the steps, smoothed and logged now and then."""

    def __init__(self, plan: Plan) -> None:
        self._plan, self._since = plan, time.monotonic()
        self._smooth: dict[str, float] = {}

    def tell(self, step: int, figures: dict[str, float]) -> None:
        if figures.keys() != self._smooth.keys():
            self._smooth = dict(figures)
        self._smooth = {name: 0.96 * self._smooth[name] + 0.04 * value for name, value in figures.items()}
        if (step + 1) % REPORT_EVERY == 0:
            told = "  ".join(f"{name} {value:.3f}" for name, value in self._smooth.items())
            log.info("step %d of %d  %s  %.0f s", step + 1, self._plan.steps, told, time.monotonic() - self._since)


def note(out: Path, step: int, figures: Any) -> None:
    """Log what a check found, and keep it."""
    log.info("check at step %d: %s", step, json.dumps(figures))
    with (out / HISTORY).open("a", encoding="utf-8") as file:
        file.write(json.dumps({"step": step, **figures}) + "\n")


def save(pupil: Pupil, tokenizer: Any, folder: Path) -> Path:
    """The model as a Hugging Face checkpoint, without the patch head."""
    attend(pupil.model, "sdpa")
    pupil.model.save_pretrained(folder)
    save_processor(tokenizer, folder)
    return folder


@click.command()
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder for the run and its checkpoint.")
@click.option("--seed", default=DEFAULT.seed, show_default=True, help="Decides the weights and the lessons.")
@click.option("--patch-steps", default=DEFAULT.patch_steps, show_default=True, help="Steps of the first stage.")
@click.option("--joint-steps", default=DEFAULT.joint_steps, show_default=True, help="Steps of the second stage.")
@click.option("--resume", is_flag=True, help="Go on from the state in --out.")
@click.option("--threads", default=1, show_default=True, help="Threads of torch.")
@click.option("--helpers", default=1, show_default=True, help="Processes that draw pictures.")
def main(
    out: Path,
    seed: int,
    patch_steps: int,
    joint_steps: int,
    resume: bool,
    threads: int,
    helpers: int,
) -> None:
    """Train the demo model from nothing."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(threads)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # said aloud, since helpers fork after the tokenizer was used
    plan = replace(DEFAULT, seed=seed, patch_steps=patch_steps, joint_steps=joint_steps)
    click.echo(train(plan, out, tell=Progress(plan).tell, resume=resume, helpers=helpers))


if __name__ == "__main__":
    main()
