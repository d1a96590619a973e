"""Makes a checkpoint of every family: `python -m tests.convert.checkpoints FOLDER SEED`.

A program of its own, so that torch stays out of the tests' process.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.convert.checkpoints import FAMILIES, make

if __name__ == "__main__":
    folder, seed = Path(sys.argv[1]), int(sys.argv[2])
    for family in FAMILIES:
        make(family, folder / family, seed)
