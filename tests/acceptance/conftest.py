from __future__ import annotations

from pathlib import Path

import pytest

from tests.models import make
from tests.program import Program
from tests.servers import Redis


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """The program with one tiny model, which it takes when none is named."""
    folder, home = tmp_path / "here", tmp_path / "home"
    folder.mkdir()
    make("llava", home / "models" / "tiny")
    return Program(home, folder, {"PIXMILL_MODEL": "tiny"})


@pytest.fixture
def online(program: Program, redis: Redis) -> Program:
    """The program with a broker."""
    program.environment = {**program.environment, "PIXMILL_BROKER_URL": redis.url}
    return program
