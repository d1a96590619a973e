"""The engine process: `python -m workers.engine SOCKET_FD PIXELS_FD`.

The first message is the configuration. Nothing heavy is imported before it is here, since OpenVINO keeps the
cores it finds when it is loaded.
"""

from __future__ import annotations

import os
import socket
import sys
import traceback

from pipeline.errors import SettingInvalid, SetupError
from workers.engine.core import start
from workers.engine.loop import Loop
from workers.engine.requests import EngineConfig
from workers.process import serve_parent
from workers.wire import Closed, Message, Wire

REFUSED = 3


def serve(wire: Wire, pixels: int) -> int:
    """Load the model, say so, answer until the parent is gone."""
    (_, body), *early = _first(wire)
    config = EngineConfig.of_wire(body)
    try:
        _pin(config.cores)
        core = start(config, pixels)
    except SetupError as error:
        wire.send("refused", str(error))
        return REFUSED
    wire.send("ready", core.runtime.wire())
    loop = Loop(wire, core)
    loop.hear(early)
    loop.run()
    return 0


def _first(wire: Wire) -> list[Message]:
    while not (messages := wire.receive()):
        wire.wait()
    return messages


def _pin(cores: tuple[int, ...] | None) -> None:
    """INFERENCE_NUM_THREADS alone does not hold OpenVINO to some cores."""
    if cores is None:
        return
    try:
        os.sched_setaffinity(0, cores)
    except (OSError, ValueError) as error:
        there = ", ".join(map(str, sorted(os.sched_getaffinity(0))))
        why = f"{error}. Cores here: {there}"
        raise SettingInvalid(name="cores", value=cores, origin="engine", why=why) from error


def main(socket_fd: str, pixels_fd: str) -> int:
    serve_parent()
    try:
        return serve(Wire(socket.socket(fileno=int(socket_fd))), int(pixels_fd))
    except Closed:
        return 0
    except Exception:  # noqa: BLE001 - the process's edge: the parent reads the last line, counts the crash and starts another
        traceback.print_exc()
        return 1


if __name__ == "__main__":
    code = main(*sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    # Taking down a pipeline with requests inside takes time and prints complaints; the kernel does it better.
    os._exit(code)
