"""The program as a supervisor runs it: should the supervisor die, it is told to end, in order."""

from __future__ import annotations

import signal
import sys

from pipeline.cli import main
from workers.process import end_with_parent

if __name__ == "__main__":
    end_with_parent(signal.SIGTERM)
    sys.exit(main())
