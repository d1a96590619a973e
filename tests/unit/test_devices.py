from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.cli import main
from workers.commands.devices import hints


def test_the_cpu_is_always_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["devices", "--json"]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    cpu = next(device for device in found if device["name"] == "CPU")
    assert cpu["full_name"]
    assert "FP32" in cpu["precisions"]
    assert main(["devices"]) == 0
    assert capsys.readouterr().out.startswith("DEVICE")


@pytest.mark.parametrize(
    ("names", "nodes", "words"),
    [
        (["CPU"], ["renderD128"], ["GPU"]),
        (["CPU"], ["accel0"], ["NPU"]),
        (["CPU"], ["renderD128", "accel0"], ["GPU", "NPU"]),
        (["CPU", "GPU.0"], ["renderD128"], []),
        (["CPU", "NPU"], ["accel0"], []),
        (["CPU"], [], []),
    ],
)
def test_hints_name_the_driver_that_is_missing(
    tmp_path: Path, names: list[str], nodes: list[str], words: list[str]
) -> None:
    for node in nodes:
        (tmp_path / node).touch()
    said = list(hints(names, render=tmp_path, npu=tmp_path))
    assert len(said) == len(words)
    assert all(f"OpenVINO has no {word}" in line for word, line in zip(words, said, strict=True))
