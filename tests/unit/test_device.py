from __future__ import annotations

import pytest

from pipeline.errors import DeviceNotPinned, DeviceUnknown, SettingInvalid
from workers.engine.device import Device


@pytest.mark.parametrize("name", ["AUTO", "AUTO:CPU", "MULTI:CPU", "HETERO:CPU", "BATCH:CPU(4)"])
def test_devices_that_choose_are_refused(name: str) -> None:
    with pytest.raises(DeviceNotPinned, match="pixmill devices"):
        Device(name, {})


def test_an_unknown_device_is_told_what_there_is() -> None:
    with pytest.raises(DeviceUnknown, match=r"XPU.*Devices:.*CPU"):
        Device("XPU", {})


@pytest.mark.parametrize(("key", "value"), [("NO_SUCH_THING", "1"), ("INFERENCE_PRECISION_HINT", "f99")])
def test_a_setting_the_device_does_not_take_is_named(key: str, value: str) -> None:
    with pytest.raises(SettingInvalid, match=f"{key} = '{value}'"):
        Device("CPU", {key: value})


def test_options_tell_precision_also_by_default() -> None:
    assert {"INFERENCE_PRECISION_HINT", "KV_CACHE_PRECISION"} <= Device("CPU", {}).options().keys()
    exact = Device("CPU", {"INFERENCE_PRECISION_HINT": "f32", "KV_CACHE_PRECISION": "f32"}).options()
    assert (exact["INFERENCE_PRECISION_HINT"], exact["KV_CACHE_PRECISION"]) == ("f32", "f32")


def test_the_runtime_names_device_and_versions() -> None:
    runtime = Device("CPU", {}).runtime("batching", {"a": 1})
    assert (runtime.engine, runtime.device, runtime.options) == ("batching", "CPU", {"a": 1})
    assert runtime.device_name
    assert runtime.versions.keys() == {"openvino", "openvino_genai", "openvino_tokenizers", "pixmill"}
