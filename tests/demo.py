"""`make demo`: the real pipeline on drawn pictures, with a tiny model whose weights are random."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.models import make
from tests.pictures import good


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="pixmill-demo-") as folder:
        room = Path(folder)
        pictures = room / "pictures"
        pictures.mkdir()
        good(pictures, 24)
        make("llava", room / "home" / "models" / "tiny-random")
        environment = os.environ | {"PIXMILL_HOME": str(room / "home"), "PIXMILL_MODEL": "tiny-random"}
        for command in (
            ["run", "pictures", "-q", "What is this?", "-q", "Which colours?", "--max-tokens", "12"],
            ["run", "pictures", "-q", "What is this?", "-q", "Which colours?", "--max-tokens", "12"],
            ["answers", "--limit", "5"],
            ["status"],
        ):
            sys.stdout.write(f"\n$ pixmill {' '.join(command)}\n")
            sys.stdout.flush()
            program = Path(sys.executable).with_name("pixmill")
            subprocess.run([program, *command], cwd=room, env=environment, check=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
