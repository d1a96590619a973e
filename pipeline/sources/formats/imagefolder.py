"""Image folder: a folder of pictures with a metadata file, as Hugging Face's `datasets` reads it."""

from __future__ import annotations

import os

from pipeline.errors import UsageError

METADATA = ("metadata.jsonl", "metadata.csv", "metadata.parquet")


def metadata(name: str) -> str:
    """The metadata file of a folder; a file stands for itself."""
    if not os.path.isdir(name):
        return name
    found = [place for place in (os.path.join(name, file) for file in METADATA) if os.path.isfile(place)]
    if not found:
        raise UsageError(detail=f"{name} holds none of {', '.join(METADATA)}. Name the manifest itself.")
    return found[0]
