"""`python -m pipeline.schedules FIRING`: run the command of one firing that was begun."""

from __future__ import annotations

import sys

from pipeline import logs
from pipeline.schedules.firing import run
from pipeline.settings import read_settings

if __name__ == "__main__":
    logs.to_stderr()
    run(read_settings(), int(sys.argv[1]))
