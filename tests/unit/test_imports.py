"""The import rule of the design: one way, and light where it must be."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.cli import COMMANDS

ROOT = Path(__file__).parents[2]
ROOMS = ("pipeline", "workers", "migrations")
ENGINES = ("openvino", "openvino_genai", "openvino_tokenizers", "nncf", "transformers", "optimum", "torch")
COMMAND_ROOMS = ("pipeline.commands", "workers.commands")


def modules(*rooms: str) -> list[Path]:
    return [path.relative_to(ROOT) for room in rooms for path in sorted((ROOT / room).rglob("*.py"))]


def dotted(path: Path) -> str:
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


def imported(path: Path) -> Iterator[str]:
    """Every module a file imports, also inside functions; `from a import b` counts as a and as a.b."""
    package = dotted(path) if path.name == "__init__.py" else dotted(path).rpartition(".")[0]
    for node in ast.walk(ast.parse((ROOT / path).read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def within(name: str, rooms: tuple[str, ...]) -> bool:
    return any(name == room or name.startswith(f"{room}.") for room in rooms)


def test_the_walk_sees_modules_and_relative_imports(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(f"{__name__}.ROOT", tmp_path)
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/b/c.py").write_text("from . import d\nfrom ..e import f\ndef g():\n    import h.i as j\n")
    assert set(imported(Path("a/b/c.py"))) == {"a.b", "a.b.d", "a.e", "a.e.f", "h.i"}
    assert [dotted(path) for path in modules("a")] == ["a.b.c"]


@pytest.mark.parametrize("path", modules("pipeline"), ids=str)
def test_pipeline_imports_neither_workers_nor_engines(path: Path) -> None:
    assert [name for name in imported(path) if within(name, ("workers", *ENGINES))] == []


@pytest.mark.parametrize("path", modules(*ROOMS), ids=str)
def test_nothing_imports_a_command_module(path: Path) -> None:
    allowed = within(dotted(path), COMMAND_ROOMS)
    named = [name for name in imported(path) if within(name, COMMAND_ROOMS)]
    assert named == [] or (allowed and all(within(name, (dotted(path),)) for name in named))


def test_the_table_alone_names_the_command_modules() -> None:
    assert all(within(entry.place.partition(":")[0], COMMAND_ROOMS) for entry in COMMANDS.values())


def taken(path: Path) -> Iterator[tuple[str, str]]:
    """What a file takes from other modules as it is loaded, in order, as (module, name)."""
    for node in _loading(ast.parse((ROOT / path).read_bytes()).body):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        else:
            yield from ((node.module or "", alias.name) for alias in node.names)


def _loading(body: list[ast.stmt]) -> Iterator[ast.Import | ast.ImportFrom]:
    for node in body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif isinstance(node, ast.Try):
            yield from _loading(node.body)


def circle(first: str, files: dict[str, list[tuple[str, str]]]) -> str | None:
    """What is missing when a module is the first of all to be loaded; none if nothing is."""
    begun: set[str] = set()
    done: set[str] = set()

    def load(name: str) -> str | None:
        package = name.rpartition(".")[0]
        if name not in files or name in begun:
            return None
        if package and (missing := load(package)):
            return missing
        begun.add(name)
        for module, what in files[name]:
            if missing := load(module) or load(f"{module}.{what}"):
                return missing
            if module in begun - done and what and f"{module}.{what}" not in files:
                return f"{name} takes {what} of {module}, which is not there yet"
        done.add(name)
        return None

    return load(first)


def test_a_circle_is_seen_from_where_it_breaks() -> None:
    files = {"a": [("a.b", "one")], "a.b": [("c", "two")], "c": [("a.d", "three")], "a.d": [("a", "b"), ("os", "")]}
    assert circle("a", files) is None
    assert circle("c", files) == "a.b takes two of c, which is not there yet"


def test_each_module_can_be_the_first_that_is_loaded() -> None:
    files = {dotted(path): list(taken(path)) for path in modules(*ROOMS)}
    assert [missing for first in files if (missing := circle(first, files))] == []


def loaded_by(code: str) -> set[str]:
    """The top-level modules that are loaded once the code has run."""
    report = "import json, sys; print('\\n' + json.dumps(sorted({n.partition('.')[0] for n in sys.modules})))"
    run = subprocess.run(
        [sys.executable, "-c", f"{code}\n{report}"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(json.loads(run.stdout.splitlines()[-1]))


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["nonsense"]])
def test_help_loads_nothing_heavy(words: list[str]) -> None:
    loaded = loaded_by(f"from pipeline.cli import main\nmain({words!r})")
    assert "click" in loaded
    assert loaded & {*ENGINES, "celery", "kombu", "sqlalchemy", "alembic", "PIL", "rich", "numpy", "workers"} == set()


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_s_help_loads_neither_openvino_nor_celery(command: str) -> None:
    loaded = loaded_by(f"from pipeline.cli import main\nmain([{command!r}, '--help'])")
    assert loaded & {*ENGINES, "celery", "kombu"} == set()
