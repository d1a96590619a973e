"""workers.conversion: what is decided before and mended after optimum-intel's export. The export: tests/convert."""

from __future__ import annotations

import json
import signal
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.errors import ConversionFailed, FamilyUnsupported, ModelBroken
from pipeline.models.recipes import RECIPES
from workers.conversion import convert, export
from workers.conversion.mending import mend


def write(folder: Path, name: str, content: object) -> Path:
    (folder / name).write_text(json.dumps(content))
    return folder / name


def test_a_family_without_a_recipe_is_named_with_those_that_have_one(tmp_path: Path) -> None:
    write(tmp_path, "config.json", {"model_type": "llama"})
    with pytest.raises(FamilyUnsupported, match=r"family 'llama'.* Families: internvl_chat, qwen2_vl"):
        convert.family_of(tmp_path)


def test_a_folder_that_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelBroken, match=r"config\.json is missing; is this a model's folder"):
        convert.family_of(tmp_path)


def test_a_recipe_is_spelled_as_optimum_spells_it() -> None:
    language = replace(RECIPES["minicpm-v"].language, awq=True, dataset="contextual")
    assert " ".join(convert._flags(language)) == (
        "--weight-format int4 --group-size 64 --ratio 1.0 --dataset contextual --sym --all-layers --awq"
    )


def test_places_of_the_machine_are_forgotten(tmp_path: Path) -> None:
    config = write(
        tmp_path, "openvino_config.json", {"quantization_config": {"tokenizer": "/home/me/model", "bits": 4}}
    )
    model = write(tmp_path, "config.json", {"_name_or_path": "OpenGVLab/InternVL2-1B", "text": {"_name_or_path": ""}})
    mend(tmp_path, "internvl_chat")
    assert json.loads(config.read_text()) == {"quantization_config": {"tokenizer": None, "bits": 4}}
    assert json.loads(model.read_text())["_name_or_path"] == "OpenGVLab/InternVL2-1B"


@pytest.mark.parametrize(
    ("family", "size", "mended"),
    [
        ("llava", {"height": 160, "width": 160}, {"height": 160, "width": 160, "shortest_edge": 1}),
        ("llava", {"shortest_edge": 336}, {"shortest_edge": 336}),
        ("internvl_chat", {"height": 448, "width": 448}, {"height": 448, "width": 448}),
    ],
)
def test_a_processor_that_warps_says_so_in_the_engine_s_words(
    tmp_path: Path, family: str, size: dict[str, int], mended: dict[str, int]
) -> None:
    config = write(tmp_path, "preprocessor_config.json", {"size": size})
    mend(tmp_path, family)
    assert json.loads(config.read_text()) == {"size": mended}


def test_an_export_that_fails_says_itslast_words_and_keeps_the_rest(tmp_path: Path) -> None:
    """The command line is not there in the runtime's environment: a failure like any other."""
    log = tmp_path / "log"
    with pytest.raises(ConversionFailed, match=r"No module named .* All that was said is in "):
        export.export(tmp_path, tmp_path / "out", [], log=log, tell=print)
    assert log.exists()


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("  raise E(\nValueError: no such kind.\n\nYou can update it.\n", "ValueError: no such kind"),
        ("KeyError: 1\n\nDuring it\nhub.errors.OSError: No file found.\n", "hub.errors.OSError: No file found"),
        ("usage: optimum-cli\nno such option\n", "no such option"),
        ("", "its process ended with 2"),
    ],
)
def test_the_error_is_told_and_not_the_advice_after_it(tmp_path: Path, said: str, why: str) -> None:
    (tmp_path / "log").write_text(said)
    assert export.last_words(tmp_path / "log", 2) == why


WRITES = """
import pathlib, sys, time
pathlib.Path(sys.argv[-1], "openvino_language_model.xml").touch()
while not pathlib.Path(sys.argv[-1], "told").exists():
    time.sleep(0.01)
"""


def test_files_are_told_of_as_they_appear(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program in optimum's place, which ends when its file was told of."""
    monkeypatch.setattr(export, "COMMAND", ("-c", WRITES))
    told: list[str] = []

    def tell(text: str) -> None:
        told.append(text)
        (tmp_path / "told").touch()

    export.export(tmp_path, tmp_path, [], log=tmp_path / "log", tell=tell)
    assert told == ["Exported language model."]
    assert not (tmp_path / "log").exists()


def test_an_interrupted_export_ends_its_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "COMMAND", ("-c", WRITES))
    processes: list[subprocess.Popen[bytes]] = []
    start = subprocess.Popen
    monkeypatch.setattr(
        subprocess, "Popen", lambda *args, **options: processes.append(start(*args, **options)) or processes[0]
    )

    def interrupt(text: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export.export(tmp_path, tmp_path, [], log=tmp_path / "log", tell=interrupt)
    assert processes[0].returncode == -signal.SIGKILL
