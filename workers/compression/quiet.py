"""NNCF without its voice: no bars and tables on stdout, no word to its makers, and a sentence where it fails."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pipeline.errors import CompressionFailed


@contextmanager
def quiet_nncf(part: str) -> Iterator[Any]:
    """The module, loaded now: it brings scipy and scikit-learn, which nothing else needs. `part` is for complaints."""
    import rich

    # Read when NNCF is imported: without it each call is reported to a web service (nncf 3.4, openvino-telemetry).
    os.environ.setdefault("NNCF_CI", "1")
    import nncf

    logging.getLogger("nncf").setLevel(logging.ERROR)  # its own set_log_level also turns down everybody's handlers
    console = rich.get_console()  # where its bars are drawn, which is stdout
    before, console.quiet = console.quiet, True
    try:
        yield nncf
    except (RuntimeError, nncf.ValidationError, nncf.UnsupportedModelError) as error:
        raise CompressionFailed(part=part, why=last_line(error)) from error
    finally:
        console.quiet = before


def last_line(error: Exception) -> str:
    """Of what OpenVINO says: the lines before it name its own source files."""
    text = str(error).strip() or type(error).__name__
    return " ".join(text.splitlines()[-1].split())
