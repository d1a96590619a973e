from __future__ import annotations

import os
import re
from pathlib import Path

import click
import pytest

from pipeline.cli import cli
from pipeline.errors import NothingToRun, SettingInvalid, WorkerTableUnfit
from pipeline.settings import read_settings
from workers.fleet import fleet
from workers.supervisor import Program


@pytest.fixture(autouse=True)
def many_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(64)))


def run_command(words: str = "worker") -> click.Command:
    context = click.Context(cli)
    group = cli.get_command(context, words)
    assert isinstance(group, click.Group)
    command = group.get_command(context, "run")
    assert command
    return command


def read(folder: Path, text: str, **environ: str) -> list[Program]:
    (folder / "pixmill.toml").write_text(text)
    settings = read_settings(environ={"HOME": str(folder), **environ}, folder=folder)
    return fleet(settings, run_command(), lambda: ["CPU", "GPU.0", "GPU.1"], watch=run_command("watch"))


def refused(folder: Path, text: str) -> str:
    with pytest.raises(WorkerTableUnfit) as caught:
        read(folder, text)
    assert str(folder / "pixmill.toml") in str(caught.value)
    return str(caught.value)


def words(program: Program) -> list[str]:
    assert program.command[1:6] == ("-P", "-m", "workers.supervised", "worker", "run")
    return list(program.command[6:])


def test_a_table_s_keys_are_the_command_s_options(tmp_path: Path) -> None:
    (program,) = read(
        tmp_path,
        """
        [[worker]]
        model = "internvl2-1b"
        device = "CPU"
        cores = "0-7"
        max_num_seqs = 32
        grace = 2.5
        lanes = ["high", "normal"]
        enable_prefix_caching = false
        unverified = true
        device_config = { INFERENCE_PRECISION_HINT = "f32", NUM_STREAMS = 1 }
        """,
    )
    assert program.name == "CPU"
    assert words(program) == [
        "--model=internvl2-1b",
        "--device=CPU",
        "--cores=0-7",
        "--max-num-seqs=32",
        "--grace=2.5",
        "--lanes=high,normal",
        "--no-enable-prefix-caching",
        "--unverified",
        "--device-config=INFERENCE_PRECISION_HINT=f32",
        "--device-config=NUM_STREAMS=1",
    ]


def test_every_option_of_the_command_can_stand_in_a_table(tmp_path: Path) -> None:
    for option in run_command().params:
        assert isinstance(option, click.Option)
        flag = option.opts[-1]
        key = flag.removeprefix("--").replace("-", "_")
        value = {"lanes": '"high"', "cores": '"0"', "device": '"CPU"', "device_config": '{ A = "b" }'}.get(key)
        (program,) = read(tmp_path, f"[[worker]]\n{key} = {value or ('true' if option.is_flag else 1)}")
        assert words(program)[0].partition("=")[0] == flag


def test_a_worker_is_called_by_its_name_else_its_device(tmp_path: Path) -> None:
    found = read(tmp_path, '[[worker]]\nname = "big"\n[[worker]]\n[[worker]]\ncores="1"\n[[worker]]\ndevice="GPU.1"')
    assert [program.name for program in found] == ["big", "CPU#1", "CPU#2", "GPU.1"]
    assert words(found[0]) == []


def test_without_a_device_the_setting_s_is_looked_at(tmp_path: Path) -> None:
    (program,) = read(tmp_path, "[[worker]]", PIXMILL_DEVICE="GPU")
    assert program.name == "GPU"
    with pytest.raises(WorkerTableUnfit, match="There is no device 'NPU' here"):
        read(tmp_path, "[[worker]]", PIXMILL_DEVICE="NPU")


def test_a_device_that_is_not_there_is_told_what_is(tmp_path: Path) -> None:
    said = refused(tmp_path, '[[worker]]\n[[worker]]\ndevice = "NPU"')
    assert said.startswith("The worker number 2 in ")
    assert said.endswith("There is no device 'NPU' here. Devices: CPU, GPU.0, GPU.1")


@pytest.mark.parametrize("device", ["AUTO", "MULTI:CPU,GPU.0", "AUTO:GPU"])
def test_a_device_that_chooses_is_refused(tmp_path: Path, device: str) -> None:
    assert "an answer must name the device" in refused(tmp_path, f'[[worker]]\ndevice = "{device}"')


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("max_num_sqes = 4", "there is no option 'max_num_sqes', did you mean 'max_num_seqs'?"),
        ("max_num_seqs = 0", "Invalid value for '--max-num-seqs'"),
        ('max_num_seqs = "many"', "is not a valid integer"),
        ("model = true", "model is a text or a number, not True"),
        ("unverified = 1", "unverified is true or false, not 1"),
        ('lanes = ["highest"]', "--lanes takes some of"),
        ('cores = "7-0"', "--cores takes numbers and ranges"),
        ('device_config = "INFERENCE_PRECISION_HINT"', "takes KEY=VALUE"),
        ("cores = { a = 1 }", "cores is a text or a number"),
        ("help = true", "there is no option 'help'"),
    ],
)
def test_what_the_command_refuses_is_refused_before_anything_runs(tmp_path: Path, line: str, why: str) -> None:
    said = refused(tmp_path, f'[[worker]]\nname = "big"\n{line}')
    assert said.startswith("The worker big in ")
    assert why in said


def test_a_value_is_no_option(tmp_path: Path) -> None:
    (program,) = read(tmp_path, '[[worker]]\nmodel = "--device=NPU"')
    assert words(program) == ["--model=--device=NPU"]


def test_without_a_table_there_is_nothing_to_run(tmp_path: Path) -> None:
    with pytest.raises(NothingToRun, match=re.escape("pixmill.toml has neither a [[worker]]")):
        read(tmp_path, 'device = "CPU"')


@pytest.mark.parametrize("text", ['[worker]\nmodel = "m"', "worker = 3", "worker = [1]"])
def test_a_table_in_single_brackets_is_named(tmp_path: Path, text: str) -> None:
    with pytest.raises(SettingInvalid, match=re.escape("write [[worker]], in two pairs of brackets")):
        read(tmp_path, text)


def test_a_watch_has_folders_and_the_options_of_its_command(tmp_path: Path) -> None:
    (program,) = read(
        tmp_path,
        """
        [[watch]]
        name = "scans"
        folders = ["in", "/srv/in"]
        question = ["What is this?", "Which colors?"]
        stable_for = 5
        on_success = "move done"
        tags = true
        """,
    )
    assert program.name == "scans"
    words = list(program.command[6:])
    (tmp_path / "in").mkdir()
    given = run_command("watch").make_context("watch run", words).params
    assert (given["name"], given["question"], given["tags"]) == ("scans", ("What is this?", "Which colors?"), True)
    assert given["folders"] == (str(tmp_path / "in"), "/srv/in")
    assert given["local"] is None


def test_beside_a_worker_a_watch_leaves_the_answers_to_it(tmp_path: Path) -> None:
    text = '[[worker]]\n[[watch]]\nfolders = "a"\n[[watch]]\nfolders = "b"\nlocal = true\n'
    worker, first, second = read(tmp_path, text)
    assert [program.name for program in (worker, first, second)] == ["CPU", "watch#1", "watch#2"]
    assert "--no-local" in first.command and "--local" in second.command


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('question = "What?"', "folders are texts"),
        ('folders = "a"\nquestoin = "What?"', "did you mean"),
        ('folders = "a"\non_success = "burn"', "it is one of keep"),
    ],
)
def test_a_watch_that_cannot_run_is_an_error_before_anything_starts(tmp_path: Path, text: str, why: str) -> None:
    message = refused(tmp_path, f"[[watch]]\n{text}")
    assert message.startswith("The watch number 1 in") and why in message
