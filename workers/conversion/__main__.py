"""The process that exports: optimum-intel's command line, ended by the kernel when its parent ends.

Without that an export whose program was killed would go on for minutes, in a folder that is not there any more.
"""

from __future__ import annotations

import ctypes
import runpy
import signal

PR_SET_PDEATHSIG = 1

if __name__ == "__main__":
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    runpy.run_module("optimum.commands.optimum_cli", run_name="__main__", alter_sys=True)
