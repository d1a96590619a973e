"""workers.verification with real engine processes and generated builds, whole and damaged."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline import database
from pipeline.errors import ModelBroken, ModelUnverified
from pipeline.models import Model, builds, manifest, register
from pipeline.models.builds import ModelPlace
from pipeline.store import Store
from tests.engine_child import EXACT
from tests.house import LIMITS
from tests.models import make
from workers.engine.requests import Completion, EngineConfig
from workers.verification import check_files, ensure, verify
from workers.verification.exam import Exam
from workers.verification.judging import NEAR, NEAR_EXACT, Unfit, judge
from workers.verification.sitting import Sitting
from workers.worker import WorkerConfig


@pytest.fixture
def store(sqlite_template: Path, tmp_path: Path) -> Iterator[Store]:
    shutil.copy(sqlite_template, tmp_path / "pixmill.db")
    store = Store(database.connect(f"sqlite:///{tmp_path}/pixmill.db"))
    yield store
    store.close()


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make("llava", tmp_path_factory.mktemp("llava"))


@pytest.fixture
def damaged(built: Path, tmp_path: Path) -> Path:
    """A copy in which one number of the language model has become none."""
    copy = Path(shutil.copytree(built, tmp_path / "damaged"))
    weights = copy / "openvino_language_model.bin"
    numbers = np.frombuffer(weights.read_bytes(), np.float32).copy()
    numbers[len(numbers) // 2] = np.nan
    weights.write_bytes(numbers.tobytes())
    return copy


def known(store: Store, path: Path) -> Model:
    return register(store, ModelPlace(alias=path.name, path=path))


def config(path: Path, engine: str = "batching", **settings: str) -> WorkerConfig:
    return WorkerConfig(engine=EngineConfig(engine=engine, model=str(path), device_config=settings), limits=LIMITS)


def test_a_working_build_is_verified_once(store: Store, tmp_path: Path) -> None:
    path = make("phi3_v", tmp_path / "phi")  # the family whose engines part most often
    model, told = known(store, path), list[str]()
    for _ in range(2):
        ensure(store, model, config(path, INFERENCE_NUM_THREADS="1"), tell=told.append)
    assert told == ["Checking that phi works on CPU, once."]
    (row,) = store.verifications(model.digest)
    figures = row.figures
    assert (row.device, figures["engine"], figures["answers"]) == ("CPU", "batching", 3)
    assert figures["equal"] == 3 or figures["widest_gap"] < NEAR
    assert figures["load_s"] > 0 and figures["tokens_per_second"] > 0
    assert figures["peak_memory"] > 50_000_000
    assert {"openvino_genai", "pixmill"} <= figures["versions"].keys()
    assert figures["options"]["device"]["INFERENCE_NUM_THREADS"] == "1"


def test_the_serial_engine_alone_is_compared_with_nothing(store: Store, built: Path) -> None:
    model = known(store, built)
    found = verify(store, model, config(built, engine="serial"))
    assert (found.engine, found.equal, found.answers) == ("serial", None, 3)


def test_a_damaged_build_is_refused_and_not_noted(store: Store, damaged: Path) -> None:
    model = known(store, damaged)
    with pytest.raises(ModelUnverified, match=r"damaged failed its check on CPU: .*--unverified uses it all the same"):
        verify(store, model, config(damaged))
    assert store.verifications(model.digest) == []


def test_a_reference_that_says_something_else_is_noticed(built: Path, tmp_path: Path) -> None:
    """As if the serial engine, or the batching one, read the weights wrongly."""
    other = make("llava", tmp_path / "other", seed=7)
    with Exam() as exam:
        with Sitting(config(other, "serial", **EXACT).engine, exam, 60.0, lambda: None) as sitting:
            reference = sitting.answer(exam.questions)
        tokens = replace(config(built, **EXACT).engine, tokens=True)
        with Sitting(tokens, exam, 60.0, lambda: None) as sitting:
            answers = sitting.answer(exam.questions)
            assert sitting.exact
            with pytest.raises(Unfit, match="where they part, the first is likelier by"):
                judge(exam.questions, answers, reference, sitting.say, near=NEAR_EXACT)


def test_any_text_can_be_weighed(built: Path) -> None:
    tokens = replace(config(built, **EXACT).engine, tokens=True)
    with Exam() as exam, Sitting(tokens, exam, 60.0, lambda: None) as sitting:
        for text in ("two cats", 'say "no"\\n', "bär 🐻", "line\nline"):
            weighed = sitting.say(exam.questions[0], text)
            assert isinstance(weighed, Completion) and weighed.tokens
            assert text.startswith(weighed.text.strip("\N{REPLACEMENT CHARACTER}").strip())


def test_files_are_read_against_the_manifest_and_what_was_known(store: Store, built: Path, tmp_path: Path) -> None:
    path = Path(shutil.copytree(built, tmp_path / "copy"))
    manifest.write(path, {"name": "copy"})
    model = known(store, path)
    check_files(model)
    weights = path / "openvino_language_model.bin"
    stamp, whole = weights.stat(), bytearray(weights.read_bytes())
    whole[1000] ^= 1
    weights.write_bytes(whole)
    os.utime(weights, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))  # as a disk does it that forgets
    assert register(store, ModelPlace(alias="copy", path=path)) == model, "nobody looked yet"
    with pytest.raises(ModelBroken, match=r"openvino_language_model.bin has changed"):
        check_files(model)
    (path / builds.MANIFEST).unlink()
    with pytest.raises(ModelBroken, match="not those that were first read"):
        check_files(model)
