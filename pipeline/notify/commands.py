"""Commands: programs that the local `pixmill.toml` names, run when a batch has ended with the notice as their input."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

from pipeline.errors import NoticeRefused

SECONDS = 600.0
_LONGEST = 500


def run(words: Sequence[str], body: bytes) -> None:
    """Run it to its end; no shell is between. Raises NoticeRefused when it fails or takes too long."""
    try:
        ended = subprocess.run(words, input=body, capture_output=True, timeout=SECONDS, check=False)
    except OSError as error:
        raise NoticeRefused(why=f"{words[0]}: {(error.strerror or str(error)).lower()}") from error
    except subprocess.TimeoutExpired:
        raise NoticeRefused(why=f"{words[0]} took longer than {SECONDS:g} s and was ended") from None
    if ended.returncode:
        said = (ended.stderr or ended.stdout).decode("utf-8", "replace").strip()[-_LONGEST:]
        raise NoticeRefused(why=f"{words[0]} ended with {ended.returncode}{f': {said}' if said else ''}")
