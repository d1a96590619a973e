"""The device an engine runs on: checked before the model is loaded, described when it is."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import openvino as ov

from pipeline import __version__
from pipeline.errors import SettingInvalid
from workers import devices
from workers.engine.complaint import complaint
from workers.engine.requests import Runtime

_TELLING = ("INFERENCE_PRECISION_HINT", "KV_CACHE_PRECISION", "INFERENCE_NUM_THREADS")
_PACKAGES = ("openvino", "openvino_genai", "openvino_tokenizers")


class Device:
    """A device with its settings, known to exist and to take them."""

    def __init__(self, name: str, settings: Mapping[str, str]) -> None:
        self.name, self.settings = name, dict(settings)
        self._core = ov.Core()
        devices.check(name, self._core.available_devices)
        # Loads the plugin: settings of a device that is not loaded yet are not looked at.
        self.full_name = str(self._core.get_property(name, "FULL_DEVICE_NAME"))
        for key, value in settings.items():
            self._check_setting(key, value)

    def options(self) -> dict[str, str]:
        """The settings that shape answers and speed, also where they are the device's own defaults."""
        supported = self._core.get_property(self.name, "SUPPORTED_PROPERTIES")
        return {key: self._read(key) for key in (*_TELLING, *self.settings) if key in supported} | {
            key: value for key, value in self.settings.items() if key not in supported
        }

    def runtime(self, engine: str, options: Mapping[str, Any]) -> Runtime:
        """How an engine on this device describes itself."""
        versions = {name: version(name) for name in _PACKAGES} | {"pixmill": __version__}
        return Runtime(engine=engine, device=self.name, device_name=self.full_name, versions=versions, options=options)

    def _check_setting(self, key: str, value: str) -> None:
        try:
            self._core.set_property(self.name, {key: value})
        except RuntimeError as error:
            raise SettingInvalid(name=key, value=value, origin="device config", why=complaint(error)) from error

    def _read(self, key: str) -> str:
        value: Any = self._core.get_property(self.name, key)
        return value.to_string() if isinstance(value, ov.Type) else str(value)
