"""What tests of training and conversion share. They need the `convert` extra: `make test-convert`."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest

collect_ignore_glob = [] if find_spec("torch") else ["test_*.py"]

Program = Callable[..., str]
Checkpoint = Callable[..., Path]


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Program:
    """Runs a module in a process of its own, away from the hub, and returns what it printed."""
    # Code out of checkpoints is copied into this home before it is imported.
    home = {"HF_HOME": str(tmp_path_factory.mktemp("hugging-face"))}
    environment = os.environ | home | {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}

    def run(module: str, *arguments: object) -> str:
        command = [sys.executable, "-m", module, *map(str, arguments)]
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment).stdout

    return run


@pytest.fixture(scope="session")
def checkpoint(program: Program, tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """`checkpoint(family, seed=0)` is the folder of a small random checkpoint, made when first asked for."""

    @cache
    def everything(seed: int) -> Path:
        folder = tmp_path_factory.mktemp("checkpoints")
        program("tests.convert.checkpoints", folder, seed)
        return folder

    return lambda family, seed=0: everything(seed) / family
