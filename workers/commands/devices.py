"""`pixmill devices`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from pipeline import listing
from pipeline.display import echo_lines, table

RENDER_NODES = Path("/dev/dri")
NPU_NODES = Path("/dev/accel")


@dataclass(frozen=True, kw_only=True)
class Device:
    """A device that can be named to `--device`."""

    name: str
    full_name: str
    kind: str
    """integrated, discrete, or empty where OpenVINO does not say"""
    precisions: tuple[str, ...]


@click.command()
@listing.json_lines
def devices(as_json: bool) -> None:
    """List the devices OpenVINO finds here."""
    found = list(find())
    if as_json:
        echo_lines(found)
    else:
        for line in table(
            ("DEVICE", "NAME", "PRECISIONS"), ((d.name, d.full_name, " ".join(d.precisions)) for d in found)
        ):
            click.echo(line)
    for hint in hints([device.name for device in found]):
        click.echo(hint, err=True)


def find() -> Iterator[Device]:
    """What OpenVINO can run on, device by device: GPU.0 and GPU.1 rather than GPU."""
    import openvino

    core = openvino.Core()
    for name in core.available_devices:
        yield Device(
            name=name,
            full_name=str(core.get_property(name, "FULL_DEVICE_NAME")),
            kind=_kind(core, name),
            precisions=tuple(sorted(core.get_property(name, "OPTIMIZATION_CAPABILITIES"))),
        )


def _kind(core: Any, name: str) -> str:
    if "DEVICE_TYPE" not in core.get_property(name, "SUPPORTED_PROPERTIES"):
        return ""
    return str(core.get_property(name, "DEVICE_TYPE")).rpartition(".")[2].lower()


def hints(names: Iterable[str], *, render: Path = RENDER_NODES, npu: Path = NPU_NODES) -> Iterator[str]:
    """What may be missing where the kernel shows a device that OpenVINO does not."""
    found = {name.partition(".")[0] for name in names}
    if "GPU" not in found and any(render.glob("renderD*")):
        yield (
            f"There is a graphics device in {render}, but OpenVINO has no GPU: install Intel's compute runtime"
            " (intel-opencl-icd) and see that this user may open the device (group render)."
        )
    if "NPU" not in found and any(npu.glob("accel*")):
        yield (
            f"There is an accelerator in {npu}, but OpenVINO has no NPU: install Intel's NPU driver"
            " (intel-level-zero-npu, intel-driver-compiler-npu) and see that this user may open it (group render)."
        )
