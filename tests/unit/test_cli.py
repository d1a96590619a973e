from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from pipeline import __version__
from pipeline.cli import COMMANDS, main
from pipeline.errors import PixmillError, UsageError
from pipeline.lazy import Entry

ROOT = Path(__file__).parents[2]


def commands() -> Iterator[tuple[str, click.Command]]:
    """Every command with its words: `run`, `batch`, `batch ls`, ..."""
    for name in COMMANDS:
        yield from _below(name, COMMANDS[name].load())


def _below(words: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    yield words, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child
            yield from _below(f"{words} {name}", child)


# --- the words -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", COMMANDS)
def test_the_table_repeats_each_command_s_short_help(name: str) -> None:
    command = COMMANDS[name].load()
    assert command.name == name
    assert COMMANDS[name].help == command.get_short_help_str(limit=1000)


@pytest.mark.parametrize("name", COMMANDS)
def test_everything_has_help_and_stands_in_the_readme(name: str) -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    for words, command in _below(name, COMMANDS[name].load()):
        assert command.help, f"{words} has no help text"
        own = [option for option in command.params if isinstance(option, click.Option)]
        assert all(option.help or option.metavar for option in own), f"{words} has an option without help"
        assert f"pixmill {words.split()[0]}" in readme, f"README.md does not name {words}"
        assert words.split()[-1] in readme, f"README.md does not name {words}"


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    assert all(f"\n  {name} " in out and entry.help in out for name, entry in COMMANDS.items())


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"pixmill {__version__}\n"


# --- how it ends ---------------------------------------------------------------------------------


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """A command `x` that returns what the list holds, or raises it."""
    outcome: list[object] = [None]

    @click.command()
    def x() -> object:
        if isinstance(outcome[0], BaseException):
            raise outcome[0]
        return outcome[0]

    monkeypatch.setattr(sys.modules[__name__], "x", x, raising=False)
    monkeypatch.setitem(COMMANDS, "x", Entry(f"{__name__}:x", "X."))
    return outcome


@pytest.mark.parametrize(
    ("outcome", "code"),
    [
        (None, 0),
        (3, 3),
        (PixmillError(detail="no"), 1),
        (UsageError(detail="no"), 2),
        (click.UsageError("no"), 2),
        (click.ClickException("no"), 1),
        (KeyboardInterrupt(), 130),
        (click.exceptions.Exit(5), 5),
    ],
)
def test_exit_codes(command: list[object], outcome: object, code: int) -> None:
    command[0] = outcome
    assert main(["x"]) == code


def test_an_error_is_one_sentence_on_stderr(
    command: list[object], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    command[0] = PixmillError(detail="the moon is full")
    monkeypatch.delenv("PIXMILL_DEBUG", raising=False)
    main(["x"])
    assert capsys.readouterr() == ("", "Error: Something went wrong: the moon is full\n")
    monkeypatch.setenv("PIXMILL_DEBUG", "1")
    main(["x"])
    assert "Traceback" in capsys.readouterr().err


def test_a_bug_is_not_hidden(command: list[object]) -> None:
    command[0] = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError):
        main(["x"])


def test_an_unknown_command_suggests_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["anwsers"]) == 2
    assert "There is no command 'anwsers', did you mean 'answers'?" in capsys.readouterr().err
    assert main(["--nonsense"]) == 2


# --- what it prints on ---------------------------------------------------------------------------


def run(code: str, **environ: str) -> subprocess.CompletedProcess[bytes]:
    setup = "import click, sys\nfrom pipeline import cli\n"
    body = "\n".join(f"    {line}" for line in code.splitlines())
    add = "cli.cli.add_command(x)"
    program = f"{setup}@click.command()\ndef x():\n{body}\n{add}\nsys.exit(cli.main(['x']))"
    return subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env={**os.environ, **environ}, capture_output=True, check=False
    )


@pytest.mark.parametrize(
    ("encoding", "printed"),
    [
        ("utf-8", b"caf\xc3\xa9 \\udcff \xe4\xb8\x96\n"),
        ("latin-1", b"caf\xe9 \\udcff \\u4e16\n"),
        ("ascii", b"caf\xc3\xa9 ? \xe4\xb8\x96\n"),  # click takes ASCII for a wrong setting and writes UTF-8
    ],
)
def test_names_of_any_bytes_can_be_printed_anywhere(encoding: str, printed: bytes) -> None:
    done = run(r"click.echo('caf\u00e9 \udcff \u4e16')", PYTHONIOENCODING=encoding)
    assert (done.returncode, done.stdout) == (0, printed)


def test_a_reader_that_leaves_early_is_no_error_message() -> None:
    for size in (10, 10_000_000):
        code = f"import os\nread, write = os.pipe()\nos.close(read)\nos.dup2(write, 1)\nclick.echo('x' * {size})"
        assert run(code).stderr == b""


def test_an_output_that_cannot_be_written_is_said() -> None:
    for size in (10, 10_000_000):
        done = run(f"import os\nos.dup2(os.open('/dev/full', os.O_WRONLY), 1)\nclick.echo('x' * {size})")
        said = b"Error: Standard output cannot be written: no space left on device.\n"
        assert (done.returncode, done.stderr) == (1, said)


def test_nobody_may_listen_at_all() -> None:
    done = subprocess.run(
        ["sh", "-c", f"{sys.executable} -m pipeline.cli --version >&-"], cwd=ROOT, capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")
