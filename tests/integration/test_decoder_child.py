"""The decoder as its parent sees it: a process, a socket, and shared memory."""

from __future__ import annotations

import hashlib
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote_from_bytes

import pytest
from PIL import Image

from pipeline.errors import CODES
from tests.pictures import WITHOUT_RIGHTS, bomb, encode, good, hostile, plain
from workers.wire import Closed, Message, Wire

ROOM = 1 << 20
LIMITS: dict[str, Any] = {
    "max_bytes": 256 << 20,
    "max_pixels": 100_000_000,
    "seconds": 30.0,
    "memory": 1 << 30,
    "allowed_roots": None,
}


class Decoder:
    """A decoder process and the test's end of its socket."""

    def __init__(self, prefix: Sequence[str] = (), **limits: Any) -> None:
        ours, theirs = socket.socketpair()
        self.pixels = os.memfd_create("pixels")
        os.ftruncate(self.pixels, 4 * ROOM)
        self.process = subprocess.Popen(
            [*prefix, sys.executable, "-m", "workers.decoder", str(theirs.fileno()), str(self.pixels)],
            pass_fds=(theirs.fileno(), self.pixels),
            stderr=subprocess.PIPE,
        )
        theirs.close()
        self.wire = Wire(ours)
        assert self.call("config", {**LIMITS, **limits}) == ("ready", {})

    def call(self, kind: str, body: dict[str, Any]) -> Message:
        self.wire.send(kind, body)
        assert self.wire.wait(60), "the decoder says nothing"
        (message,) = self.wire.receive()
        return message

    def decode(self, path: bytes | Path, offset: int = 0, room: int = ROOM) -> tuple[str, Any]:
        body = {"id": 7, "path": quote_from_bytes(os.fsencode(path)), "offset": offset, "room": room}
        kind, answer = self.call("decode", body)
        assert answer.pop("id") == 7
        return kind, answer

    def code(self, path: bytes | Path, room: int = ROOM) -> str:
        kind, answer = self.decode(path, room=room)
        assert kind == "failed", answer
        message = answer["message"]
        assert message.isprintable() and os.fsdecode(path) not in message
        return str(answer["code"])

    def end(self) -> str:
        """Close the socket; what the process wrote to its error stream."""
        self.wire.close()
        os.close(self.pixels)
        _, errors = self.process.communicate(timeout=30)
        return errors.decode()


Start = Callable[..., Decoder]


@pytest.fixture
def start() -> Iterator[Start]:
    started: list[Decoder] = []

    def start(prefix: Sequence[str] = (), **limits: Any) -> Decoder:
        started.append(Decoder(prefix, **limits))
        return started[-1]

    yield start
    for decoder in started:
        if decoder.process.poll() is None:
            decoder.process.kill()
            decoder.end()


def peak_memory(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def test_pixels_and_facts(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    image = Image.linear_gradient("L").resize((300, 400)).convert("RGB")
    path.write_bytes(encode(image, "PNG"))
    os.utime(path, ns=(5, 6))
    decoder = start()
    kind, facts = decoder.decode(path, offset=1000)
    assert kind == "decoded" and facts.pop("seconds") > 0
    data = path.read_bytes()
    assert facts == {
        "sha256": hashlib.sha256(data).hexdigest(),
        "bytes": len(data),
        "width": 300,
        "height": 400,
        "format": "PNG",
        "size": len(data),
        "mtime_ns": 6,
    }
    assert os.pread(decoder.pixels, 360_000, 1000) == image.tobytes()
    assert os.pread(decoder.pixels, 1000, 0) == bytes(1000), "nothing before the offset"
    assert os.pread(decoder.pixels, 1000, 361_000) == bytes(1000), "nothing after the picture"


def test_every_good_picture_and_every_hostile_file(start: Start, tmp_path: Path) -> None:
    pictures = tmp_path / "good"
    pictures.mkdir()
    paths = good(pictures, count=60)
    (tmp_path / "hostile").mkdir()
    expected = hostile(tmp_path / "hostile")
    decoder = start()
    for path in paths:
        kind, facts = decoder.decode(path)
        assert kind == "decoded", (path, facts)
    assert {path: decoder.code(path) for path in expected} == expected
    assert set(expected.values()) <= CODES.keys()
    assert decoder.decode(paths[0])[0] == "decoded", "it goes on as before"
    assert peak_memory(decoder.process.pid) < 200 << 20
    assert decoder.end() == ""
    assert decoder.process.returncode == 0


@pytest.mark.skipif(not shutil.which("setpriv"), reason="setpriv is not installed")
def test_without_permission(start: Start, tmp_path: Path) -> None:
    expected = hostile(tmp_path, unreadable=True)
    (tmp_path / "readable.jpg").write_bytes(plain("JPEG"))
    decoder = start(WITHOUT_RIGHTS if os.geteuid() == 0 else ())
    path = os.path.join(os.fsencode(tmp_path), b"unreadable.jpg")
    kind, answer = decoder.decode(path)
    assert (kind, answer["code"]) == ("failed", expected[path])
    assert "permission denied" in answer["message"]
    assert decoder.decode(tmp_path / "readable.jpg")[0] == "decoded"


@pytest.mark.parametrize("path", ["/dev/zero", "/proc/self/pagemap", "/proc/self/maps"])
def test_files_that_never_end(start: Start, path: str) -> None:
    assert start(max_bytes=1 << 20).code(Path(path)) in ("image_unreadable", "image_too_large", "image_unsupported")


def test_only_below_the_allowed_folders(start: Start, tmp_path: Path) -> None:
    inside, outside = tmp_path / "in", tmp_path / "out"
    for folder in (inside, outside):
        folder.mkdir()
        (folder / "a.jpg").write_bytes(plain("JPEG"))
    (inside / "link.jpg").symlink_to(outside / "a.jpg")
    (tmp_path / "door").symlink_to(inside)
    decoder = start(allowed_roots=[str(tmp_path / "door")])
    assert decoder.decode(inside / "a.jpg")[0] == "decoded"
    assert decoder.decode(tmp_path / "door" / "a.jpg")[0] == "decoded"
    assert decoder.code(outside / "a.jpg") == "forbidden_path"
    assert decoder.code(inside / "link.jpg") == "forbidden_path"
    assert decoder.code(outside / "nothing.jpg") == "forbidden_path"


def test_the_kernel_knows_the_limits_too(start: Start, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(plain("JPEG"))
    decoder = start(memory=1 << 30, seconds=3.0)
    decoder.decode(tmp_path / "a.jpg")
    lines = Path(f"/proc/{decoder.process.pid}/limits").read_text().splitlines()
    soft = {line[:26].strip(): line[26:].split()[0] for line in lines}
    assert (soft["Max address space"], soft["Max core file size"]) == (str(1 << 30), "0")
    assert 4 <= int(soft["Max cpu time"]) <= 12, "a few seconds more than the picture may take, for a C library's loop"


def test_a_slow_picture_is_given_up(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "slow.png"
    path.write_bytes(bomb(9_000))
    decoder = start(seconds=0.01)
    assert decoder.code(path, room=1 << 30) == "image_timeout"
    (tmp_path / "quick.ppm").write_bytes(b"P6 1 1 255\nabc")
    assert decoder.decode(tmp_path / "quick.ppm")[0] == "decoded"


def test_time_in_which_it_was_stopped_does_not_count(start: Start, tmp_path: Path) -> None:
    """Ctrl-Z in the middle of a picture, for longer than a picture may take."""
    path = tmp_path / "slow.png"
    path.write_bytes(bomb(9_000))
    decoder = start(seconds=2.0)
    idle = worked(decoder.process.pid)
    decoder.wire.send("decode", {"id": 1, "path": quote_from_bytes(os.fsencode(path)), "offset": 0, "room": 1 << 30})
    while worked(decoder.process.pid) == idle:
        pass
    decoder.process.send_signal(signal.SIGSTOP)
    assert not decoder.wire.wait(3.0)
    decoder.process.send_signal(signal.SIGCONT)
    assert decoder.wire.wait(60)
    ((kind, _),) = decoder.wire.receive()
    assert kind == "decoded"


def worked(pid: int) -> int:
    """The hundredths of a second that a process has computed so far."""
    facts = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(facts[11]) + int(facts[12])


def test_a_picture_that_takes_too_much_memory(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    path.write_bytes(bomb(9_000))
    decoder = start(memory=150 << 20)
    kind, answer = decoder.decode(path, room=1 << 30)
    assert (kind, answer["code"]) == ("failed", "image_too_large")
    assert "memory" in answer["message"]
    path.write_bytes(plain("JPEG"))
    assert decoder.decode(path)[0] == "decoded"


def test_memory_does_not_grow(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(encode(Image.linear_gradient("L").resize((600, 500)), "JPEG"))
    decoder = start()
    for _ in range(20):
        decoder.decode(path)
    before = peak_memory(decoder.process.pid)
    for _ in range(200):
        decoder.decode(path)
    assert peak_memory(decoder.process.pid) - before < 2 << 20


def test_libraries_write_nothing_to_the_error_stream(start: Start, tmp_path: Path) -> None:
    data = bytearray(plain("TIFF", compression="tiff_lzw"))
    data[100:400] = bytes(300)
    (tmp_path / "a.tif").write_bytes(data)
    decoder = start()
    assert decoder.code(tmp_path / "a.tif") == "image_unreadable"
    assert decoder.end() == ""


def test_python_still_can(start: Start) -> None:
    decoder = start()
    decoder.wire.send("decode", {"id": 1, "nonsense": True})
    decoder.wire.wait(30)
    with pytest.raises(Closed):
        decoder.wire.receive()
    assert "TypeError" in decoder.end()


def test_ctrl_c_is_the_parents_business(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(plain("JPEG"))
    decoder = start()
    decoder.process.send_signal(signal.SIGINT)
    assert decoder.decode(path)[0] == "decoded"


def test_it_imports_little() -> None:
    heavy = "{'numpy', 'openvino', 'openvino_genai', 'sqlalchemy', 'celery', 'click', 'rich'}"
    script = f"import sys, workers.decoder; print({heavy} & sys.modules.keys())"
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"


def test_it_dies_with_its_parent() -> None:
    """Also when something else holds the socket open, and when it is busy."""
    child = "from workers.process import serve_parent; serve_parent(); print('up', flush=True)\nwhile True: pass"
    parent = f"""
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", {child!r}], stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
sys.stdin.read()
"""
    process = subprocess.Popen([sys.executable, "-c", parent], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    watch = os.pidfd_open(int(process.stdout.readline()))
    process.kill()
    process.communicate()
    assert select.select([watch], [], [], 30)[0], "the child lives on"
    os.close(watch)
