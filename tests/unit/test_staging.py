"""A name stands for the old build or the new one, whatever happens while a build is made."""

from __future__ import annotations

import errno
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipeline.errors import (
    DiskFull,
    DiskTooSmall,
    ModelBusy,
    ModelNameTaken,
    ModelNameUnfit,
    ModelsUnwritable,
)
from pipeline.models.staging import exchanged, remove, restore, staged, sweep

WAYS = pytest.mark.parametrize("way", [exchanged, lambda one, other: False], ids=["at once", "in steps"])
FILES = ("config.json", "weights.bin")


def fill(folder: Path, text: str) -> None:
    for name in FILES:
        (folder / name).write_text(text)


def contents(folder: Path) -> str:
    """What all files of a build say; a mixture is nothing that was ever made."""
    (text,) = {(folder / name).read_text() for name in FILES}
    return text


def left(models: Path) -> set[str]:
    return {path.name for path in (models / ".staging").iterdir()}


@pytest.fixture
def models(tmp_path: Path) -> Path:
    return tmp_path / "home" / "models"


@pytest.fixture
def old(models: Path) -> Path:
    with staged(models, "it", needs=1) as folder:
        fill(folder, "old")
    return models / "it"


def test_a_build_takes_a_free_name(models: Path) -> None:
    with staged(models, "it", needs=1) as folder:
        fill(folder, "new")
        assert not (models / "it").exists()
    assert contents(models / "it") == "new" and left(models) == {"it.lock"}


@WAYS
def test_a_build_takes_the_place_of_another(models: Path, old: Path, way: object) -> None:
    with staged(models, "it", needs=1, exchange=way) as folder:
        fill(folder, "new")
        assert contents(old) == "old"
    assert contents(old) == "new" and left(models) == {"it.lock"}


def test_this_machine_can_exchange(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "other").write_text("")
    assert exchanged(tmp_path / "one", tmp_path / "other")
    assert (tmp_path / "one").is_file() and (tmp_path / "other").is_dir()


def test_a_failure_leaves_the_old_build_and_nothing_else(models: Path, old: Path) -> None:
    with pytest.raises(KeyboardInterrupt), staged(models, "it", needs=1) as folder:
        fill(folder, "half")
        raise KeyboardInterrupt
    assert contents(old) == "old" and left(models) == {"it.lock"}


def test_what_a_failure_left_is_there_again_when_asked_for(models: Path) -> None:
    with pytest.raises(ValueError, match="cut"), staged(models, "it", needs=1, resume=True) as folder:
        (folder / "config.json").write_text("new")
        raise ValueError("cut")
    with staged(models, "it", needs=1, resume=True) as folder:
        assert (folder / "config.json").read_text() == "new"
        fill(folder, "new")
    assert contents(models / "it") == "new" and left(models) == {"it.lock"}


def test_others_start_with_an_empty_folder(models: Path) -> None:
    with pytest.raises(ValueError), staged(models, "it", needs=1, resume=True) as folder:
        fill(folder, "half")
        raise ValueError
    with staged(models, "it", needs=1) as folder:
        assert list(folder.iterdir()) == []


def test_two_at_once_are_kept_apart(models: Path) -> None:
    with staged(models, "it", needs=1) as folder:
        with pytest.raises(ModelBusy, match="'it'"), staged(models, "it", needs=1):
            pass
        with pytest.raises(ModelBusy):
            remove(models, "it")
        with staged(models, "other", needs=1) as other:
            fill(other, "other")
        fill(folder, "new")
    assert contents(models / "it") == "new" and contents(models / "other") == "other"


def test_the_lock_ends_with_the_process_that_holds_it(models: Path) -> None:
    code = (
        "import sys, pathlib; from pipeline.models.staging import staged\n"
        "with staged(pathlib.Path(sys.argv[1]), 'it', needs=1): print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, models], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout and process.stdout.readline() == b"held\n"
        with pytest.raises(ModelBusy), staged(models, "it", needs=1):
            pass
        process.kill()
    with staged(models, "it", needs=1) as folder:
        fill(folder, "new")


def test_a_disk_that_is_too_small_is_seen_before(models: Path, old: Path) -> None:
    free = shutil.disk_usage(models).free
    said = pytest.raises(DiskTooSmall, match=r"'it' takes 1,\d{3} TB more .* where .*B are free")
    with said, staged(models, "it", needs=free + 10**15):
        raise AssertionError("it began")
    assert contents(old) == "old"


def test_what_is_there_already_needs_no_room(models: Path) -> None:
    with pytest.raises(ValueError), staged(models, "it", needs=1, resume=True) as folder:
        with (folder / "weights.bin").open("wb") as file:
            file.truncate(10**13)  # takes no room: it is all holes
        raise ValueError
    with staged(models, "it", needs=10**13, resume=True) as folder:
        fill(folder, "new")


def test_a_disk_that_fills_up_is_a_sentence(models: Path, old: Path) -> None:
    with pytest.raises(DiskFull, match="no room left for the model 'it'"), staged(models, "it", needs=1):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert contents(old) == "old"


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        ".hidden",
        "a/b",
        "/etc",
        "a b",
        "a\n",
        "ü",
        "~old",
        "-x",
        "GPU",
        "gpu.1",
        "it.lock",
        "it.log",
        "a" * 101,
    ],
)
def test_names_that_no_model_can_have(models: Path, name: str) -> None:
    with pytest.raises(ModelNameUnfit), staged(models, name, needs=1):
        pass
    assert not models.exists()


def test_what_is_no_model_is_not_replaced(models: Path) -> None:
    (models / "it").mkdir(parents=True)
    (models / "it" / "diary.txt").write_text("mine")
    with pytest.raises(ModelNameTaken, match="is no model"), staged(models, "it", needs=1):
        pass
    assert (models / "it" / "diary.txt").read_text() == "mine"


def test_a_link_is_replaced_and_what_it_points_to_stays(models: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    fill(tmp_path / "elsewhere", "old")
    models.mkdir(parents=True)
    (models / "it").symlink_to(tmp_path / "elsewhere")
    with staged(models, "it", needs=1) as folder:
        fill(folder, "new")
    assert contents(models / "it") == "new" and contents(tmp_path / "elsewhere") == "old"


def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file")
    with pytest.raises(ModelsUnwritable, match="cannot be changed"), staged(tmp_path / "home", "it", needs=1):
        pass


def test_removing_frees_the_name_and_what_was_left_for_it(models: Path, old: Path) -> None:
    with pytest.raises(ValueError), staged(models, "it", needs=1, resume=True) as folder:
        fill(folder, "half")
        raise ValueError
    remove(models, "it")
    assert not old.exists() and left(models) == {"it.lock"}


def test_sweeping_takes_only_what_was_left(models: Path, old: Path) -> None:
    with pytest.raises(ValueError), staged(models, "it", needs=1, resume=True) as folder:
        fill(folder, "half")
        raise ValueError
    sweep(models, "it")
    assert contents(old) == "old" and left(models) == {"it.lock"}


# --- killed -------------------------------------------------------------------------------------

KILLED_EVERYWHERE = '''
import json, os, signal, sys
from pathlib import Path
from pipeline.models.staging import exchanged, remove, staged

models, way, act = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
exchange = exchanged if way == "at once" else lambda one, other: False

def write(folder, text):
    for name in ("config.json", "weights.bin"):
        (folder / name).write_text(text)

def make():
    with staged(models, "it", needs=1, exchange=exchange) as folder:
        write(folder, "new")

def killed_at(moment):
    """A process of its own that is killed before its n-th call into the system."""
    calls = 0
    def look(frame, event, call):
        nonlocal calls
        if event == "c_call" and getattr(call, "__module__", "") in ("posix", "fcntl", "_io"):
            calls += 1
            if calls == moment:
                os.kill(os.getpid(), signal.SIGKILL)
    pid = os.fork()
    if pid == 0:
        sys.setprofile(look)
        make() if act == "make" else remove(models, "it")
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

moment, ended = 0, -signal.SIGKILL
while ended == -signal.SIGKILL:
    moment += 1
    (models / "it").mkdir(parents=True, exist_ok=True)
    write(models / "it", "old")
    ended = killed_at(moment)
    print(json.dumps({"moment": moment, "ended": ended}), flush=True)
    sys.stdin.readline()
'''


@contextmanager
def killed(models: Path, way: str, act: str) -> Iterator[Iterator[int]]:
    """How the maker of "new", or the remover, ended, each time killed one call later; the looker looks in between."""
    call = [sys.executable, "-c", KILLED_EVERYWHERE, models, way, act]
    with subprocess.Popen(call, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin and process.stdout
        answers, onward = process.stdout, process.stdin

        def each() -> Iterator[int]:
            for line in answers:
                yield json.loads(line)["ended"]
                onward.write("\n")
                onward.flush()

        yield each()
    assert process.returncode == 0


@pytest.mark.parametrize("way", ["at once", "in steps"])
def test_killed_at_any_moment_the_name_has_the_old_or_the_new(models: Path, way: str) -> None:
    found = []
    with killed(models, way, "make") as endings:
        for ended in endings:
            if way == "in steps":
                restore(models, "it")
            found.append((ended, contents(models / "it")))
    *kills, last = found
    assert last == (0, "new") and left(models) == {"it.lock"}
    texts = [text for _, text in kills]
    assert {ended for ended, _ in kills} == {-signal.SIGKILL}
    assert set(texts) == {"old", "new"} and len(texts) > 20


def test_killed_while_it_removes_a_build_the_name_has_all_of_it_or_is_free(models: Path) -> None:
    found = []
    with killed(models, "at once", "remove") as endings:
        for _ in endings:
            restore(models, "it")
            found.append(contents(models / "it") if (models / "it").exists() else "free")
    assert set(found) == {"old", "free"} and left(models) == {"it.lock"}
