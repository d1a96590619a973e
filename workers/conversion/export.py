"""An export: optimum-intel's command line, run in a process of its own over a checkpoint."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

from pipeline.errors import ConversionFailed, ConvertExtraMissing

EXTRA = ("optimum.intel", "transformers", "torch")
COMMAND = ("-P", "-m", "workers.conversion", "export", "openvino", "--task", "image-text-to-text")
# The checkpoint is on this machine by now: nothing is to be fetched besides, least of all code.
ENVIRONMENT = {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "HF_HUB_DISABLE_TELEMETRY": "1"}
LOOK_S = 0.25
ERROR = re.compile(r"[A-Za-z_][\w.]*(Error|Exception): ")

Tell = Callable[[str], None]


def check_extra() -> None:
    """Refuse to begin where what conversion needs is not installed."""
    try:
        missing = [name for name in EXTRA if find_spec(name) is None]
    except ModuleNotFoundError as error:  # the package around one of them
        missing = [str(error.name)]
    if missing:
        raise ConvertExtraMissing(python=sys.executable, missing=", ".join(missing))


def export(checkpoint: Path, out: Path, options: Sequence[str], *, log: Path, tell: Tell) -> None:
    """Write the checkpoint's OpenVINO files into `out`. What optimum says goes into the log, kept where it failed."""
    command = [sys.executable, *COMMAND, "--model", str(checkpoint), *options, str(out)]
    with log.open("wb") as file:
        process = subprocess.Popen(
            command,
            env=os.environ | ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,  # Ctrl-C is this program's to handle
        )
    try:
        _watch(process, out, tell)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if process.returncode:
        raise ConversionFailed(checkpoint=checkpoint, why=last_words(log, process.returncode), log=log)
    log.unlink()


def _watch(process: subprocess.Popen[bytes], out: Path, tell: Tell) -> None:
    """Wait for the end; optimum tells nothing meanwhile, but one file after the other appears."""
    seen: set[str] = set()
    while process.poll() is None:
        for name in _new(out, seen):
            tell(f"Exported {name}.")
        try:
            process.wait(LOOK_S)
        except subprocess.TimeoutExpired:
            pass


def _new(out: Path, seen: set[str]) -> Iterator[str]:
    """Models whose weights are written: the XML comes after them."""
    for file in sorted(out.glob("openvino_*.xml")):
        if file.stem not in seen:
            seen.add(file.stem)
            yield file.stem.removeprefix("openvino_").replace("_", " ")


def last_words(log: Path, code: int) -> str:
    """The error, when it is told as Python does, with advice in further lines; else whatever was said last."""
    if code < 0:
        return f"its process was ended by {signal.Signals(-code).name}" + (
            ", for lack of memory?" if code == -9 else ""
        )
    lines = [line.rstrip(". ") for line in log.read_text("utf-8", "replace").splitlines() if line.strip()]
    errors = [line for line in lines if ERROR.match(line)]
    return (errors or lines or [f"its process ended with {code}"])[-1].strip()
