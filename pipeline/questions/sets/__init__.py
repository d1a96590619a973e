"""The sets of questions that come with Pixmill, one file each."""

from __future__ import annotations

from importlib.resources import files

SUFFIX = ".yaml"


def names() -> list[str]:
    return sorted(file.name.removesuffix(SUFFIX) for file in files(__name__).iterdir() if file.name.endswith(SUFFIX))


def text(name: str) -> str:
    """A set as it was written."""
    return files(__name__).joinpath(name + SUFFIX).read_text("utf-8")
