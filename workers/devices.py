"""Devices by their names: which are there, and which can be asked for."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Collection

from pipeline.errors import DeviceNotPinned, DeviceUnknown, SetupError

_CHOOSERS = ("AUTO", "MULTI", "HETERO", "BATCH")


def check(name: str, there: Collection[str]) -> None:
    """Refuse a device that is not there, and one that would let OpenVINO choose."""
    if re.split("[:.]", name)[0] in _CHOOSERS:
        raise DeviceNotPinned(device=name)
    if name not in there and f"{name}.0" not in there:
        raise DeviceUnknown(device=name, devices=", ".join(there))


def look() -> list[str]:
    """The devices' names, asked in a process of its own: drivers stay loaded in whichever process looks."""
    command = [sys.executable, "-P", "-m", "pipeline.cli", "devices", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SetupError(detail=f"The devices cannot be listed: {done.stderr.strip().removeprefix('Error: ')}")
    return [json.loads(line)["name"] for line in done.stdout.splitlines()]
