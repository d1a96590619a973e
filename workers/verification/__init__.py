"""Verification: a build answers a fixed exam on the device it will run on, before it is trusted with jobs.

It runs as the person will run it: same device, same device settings, in an engine process of its own. Both
engines answer, one process after the other, so that the model is in memory once. What is seen is stored with the
build and the device; a build that was seen working with this version of openvino-genai is not examined again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from importlib.metadata import version

from pipeline.errors import ModelBroken, ModelUnverified
from pipeline.models import Model, builds, manifest
from pipeline.models.findings import Findings
from pipeline.store import Store
from workers.engine.client import Engine
from workers.engine.core import Ending
from workers.verification.exam import Exam
from workers.verification.judging import NEAR, NEAR_EXACT, Unfit, Verdict, judge
from workers.verification.sitting import Sitting
from workers.worker import WorkerConfig

Tell = Callable[[str], None]
Pause = Callable[[], None]
"""is called while an engine is waited for, and may raise to end that"""


def ensure(store: Store, model: Model, config: WorkerConfig, *, tell: Tell, pause: Pause = lambda: None) -> None:
    """Verify a build that this database has not yet seen working on the device. Raises ModelUnverified."""
    if not seen(store, model, config.engine.device):
        tell(f"Checking that {model.alias} works on {config.engine.device}, once.")
        verify(store, model, config, pause=pause)


def seen(store: Store, model: Model, device: str) -> bool:
    """Whether the build worked on the device with the openvino-genai that is installed.

    Another version reads models in another way. Other device settings count: they are the person's own to change,
    and `pixmill models verify` takes them.
    """
    now = version("openvino_genai")
    found = store.verifications(model.digest)
    return any(row.device == device and row.figures["versions"].get("openvino_genai") == now for row in found)


def verify(store: Store, model: Model, config: WorkerConfig, *, pause: Pause = lambda: None) -> Findings:
    """Examine a build and note what was seen. Raises ModelUnverified with the reason."""
    try:
        found = examine(config, pause)
    except Unfit as error:
        name = model.path if model.alias.startswith("local-") else model.alias  # what a person can type
        raise ModelUnverified(name=name, device=config.engine.device, why=str(error)) from error
    store.verified(model.build, config.engine.device, asdict(found))
    return found


def check_files(model: Model) -> None:
    """Read all files again: they must be those of the manifest, and those this database has known so far."""
    hashes = builds.hashes(model.path)
    manifest.check(model.path, hashes)
    if builds.digest(hashes) != model.digest:
        raise ModelBroken(path=model.path, why="its files are not those that were first read. Make or pull it again")


def examine(config: WorkerConfig, pause: Pause) -> Findings:
    """What a build does in the exam. Raises Unfit."""
    engine = config.engine
    with Exam() as exam:
        if engine.engine == "serial":  # an NPU has no other
            reference: list[Ending] | None = None
        else:
            with Sitting(replace(engine, engine="serial"), exam, config.stall_s, pause) as sitting:
                reference = sitting.answer(exam.questions)
        with Sitting(replace(engine, tokens=True), exam, config.stall_s, pause) as sitting:
            answers, seconds = sitting.answer(exam.questions), sitting.seconds
            near = NEAR_EXACT if sitting.exact else NEAR
            verdict = judge(exam.questions, answers, reference, sitting.say, near=near)
            return _findings(sitting.engine, verdict, seconds)


def _findings(engine: Engine, verdict: Verdict, seconds: float) -> Findings:
    assert engine.runtime
    return Findings(
        load_s=round(engine.figures.load_s, 3),
        peak_memory=engine.figures.peak_memory,
        tokens_per_second=round(verdict.tokens / seconds, 3),
        answers=verdict.answers,
        equal=verdict.equal,
        widest_gap=verdict.widest_gap,
        engine=engine.runtime.engine,
        device_name=engine.runtime.device_name,
        versions=engine.runtime.versions,
        options=engine.runtime.options,
    )
