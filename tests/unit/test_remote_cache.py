from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.remote.cache import FRESH_S, Cache, _pin
from pipeline.remote.source import Tag

URL = "https://example.org/a.jpg?w=640"
TAG = Tag(etag='"1"', modified="Fri, 20 Nov 2026 10:00:00 GMT")


class Time:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def cache(tmp_path: Path, time: Time) -> Cache:
    return Cache(tmp_path / "cache", 1000, time)


def files(cache: Cache) -> list[Path]:
    return [path for path in cache.folder.rglob("*") if path.is_file()]


def contents(cache: Cache, url: str = URL) -> bytes | None:
    kept = cache.find(url)
    if kept is None:
        return None
    with kept:
        return kept.path.read_bytes()


def test_what_is_kept_is_found_again(cache: Cache) -> None:
    assert cache.find(URL) is None and not cache.folder.exists()
    with cache.keep(URL, TAG, [b"one", b"two"]) as kept:
        assert (kept.path.read_bytes(), kept.tag, kept.fresh) == (b"onetwo", TAG, True)
    found = cache.find(URL)
    assert found and (found.path, found.tag, found.fresh) == (kept.path, TAG, True)
    assert contents(cache, f"{URL}1") is None


def test_nothing_in_the_folder_tells_the_address_and_nobody_else_reads_it(cache: Cache) -> None:
    cache.keep(URL, TAG, [b"bytes"]).close()
    assert all(b"example" not in path.read_bytes() and "example" not in str(path) for path in files(cache))
    assert {path.stat().st_mode & 0o077 for path in cache.folder.iterdir()} == {0}


def test_after_a_while_the_server_is_to_be_asked_and_may_confirm(cache: Cache, time: Time) -> None:
    cache.keep(URL, TAG, [b"bytes"]).close()
    time.now += FRESH_S
    kept = cache.find(URL)
    assert kept and not kept.fresh
    cache.confirm(URL)
    again = cache.find(URL)
    assert again and again.fresh


def test_a_clock_that_was_set_back_makes_nothing_fresh(cache: Cache, time: Time) -> None:
    cache.keep(URL, TAG, [b"bytes"]).close()
    time.now -= 3600
    kept = cache.find(URL)
    assert kept and not kept.fresh


def test_a_new_state_replaces_the_old_one_which_its_readers_keep(cache: Cache) -> None:
    old = cache.keep(URL, TAG, [b"old"])
    cache.keep(URL, Tag('"2"'), [b"new"]).close()
    assert contents(cache) == b"new"
    cache.tidy()
    assert old.path.read_bytes() == b"old", "somebody reads it"
    old.close()
    cache.tidy()
    assert not old.path.exists() and contents(cache) == b"new"


def test_what_breaks_off_leaves_nothing_and_the_old_state_stays(cache: Cache) -> None:
    cache.keep(URL, TAG, [b"old"]).close()
    before = files(cache)

    def broken() -> Iterator[bytes]:
        yield b"ne"
        raise ValueError

    with pytest.raises(ValueError):
        cache.keep(URL, TAG, broken())
    assert files(cache) == before and contents(cache) == b"old"


def test_what_was_used_longest_ago_goes_first(cache: Cache, time: Time) -> None:
    for number in range(10):
        cache.keep(f"{URL}{number}", TAG, [bytes(100)]).close()
        time.now += 1
    assert contents(cache, f"{URL}0"), "used again"
    time.now += 1
    cache.keep(f"{URL}10", TAG, [bytes(100)]).close()
    gone = [number for number in range(11) if contents(cache, f"{URL}{number}") is None]
    assert gone == [1, 2]
    assert sum(path.stat().st_size for path in files(cache) if path.suffix != ".json") == 900
    assert len(files(cache)) == 18, "what tells of them has gone too"


def test_what_somebody_has_stays_even_beyond_the_limit(cache: Cache) -> None:
    kept = [cache.keep(f"{URL}{number}", TAG, [bytes(600)]) for number in range(3)]
    cache.tidy()
    assert all(one.path.exists() for one in kept)
    for one in kept:
        one.close()
    cache.tidy()
    assert sum(one.path.exists() for one in kept) == 1


def test_a_picture_that_nobody_holds_any_more_is_let_go(cache: Cache) -> None:
    path = cache.keep(URL, TAG, [bytes(2000)]).path  # the value itself is forgotten at once
    cache.tidy()
    assert not path.exists()


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"file": 3}', '{"file": "../../x", "size": 1}'])
def test_what_a_stranger_wrote_is_as_nothing(cache: Cache, text: str) -> None:
    with cache.keep(URL, TAG, [b"bytes"]) as kept:
        kept.path.with_suffix(".json").write_text(text)
    assert contents(cache) is None
    cache.keep(URL, TAG, [b"bytes"]).close()
    assert contents(cache) == b"bytes"


def test_what_is_being_removed_by_another_process_is_as_nothing(cache: Cache) -> None:
    with cache.keep(URL, TAG, [b"bytes"]) as kept:
        lock = os.open(kept.path, os.O_RDWR)
        kept.path.unlink()
        assert not _pin(lock)
        os.close(lock)


def test_a_file_that_was_cut_is_as_nothing(cache: Cache) -> None:
    with cache.keep(URL, TAG, [b"bytes"]) as kept:
        os.truncate(kept.path, 3)
    assert contents(cache) is None


def test_what_a_dead_process_left_is_removed_and_what_a_live_one_writes_is_not(cache: Cache) -> None:
    die = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom pipeline.remote.cache import Cache\n"
        "from pipeline.remote.source import Tag\n"
        "def chunks():\n    yield b'half'\n    os.kill(os.getpid(), signal.SIGKILL)\n"
        "Cache(Path(sys.argv[1]), 1000).keep('https://example.org/', Tag(), chunks())\n"
    )
    ended = subprocess.run([sys.executable, "-c", die, str(cache.folder)], cwd=Path(__file__).parents[2], check=False)
    assert ended.returncode < 0 and len(files(cache)) == 1

    def chunks() -> Iterator[bytes]:
        yield b"one"
        assert len(files(cache)) == 2
        cache.tidy()
        assert len(files(cache)) == 1, "this one"
        yield b"two"

    with cache.keep(URL, TAG, chunks()) as kept:
        assert kept.path.read_bytes() == b"onetwo"


def _use(folder: Path, seed: int) -> None:
    cache = Cache(folder, 2000)
    for number in range(120):
        url = f"{URL}{(number * 7 + seed) % 10}"
        kept = cache.find(url) or cache.keep(url, TAG, [url.encode() * 10])
        with kept:
            assert kept.path.read_bytes() == url.encode() * 10
        cache.tidy()


def test_several_processes_share_it(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_use, args=(tmp_path / "cache", seed)) for seed in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
