"""tests.signal_stack: what lets a process handle signals after openvino-genai has answered in it."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import os, signal
from tests.signal_stack import SignalStack
from workers.demo import INT4
from workers.demo.evaluate import Part, answers, papers
before = SignalStack.now()
assert list(answers(INT4, papers(Part(), 1)))
assert SignalStack.now().sp != before.sp, "openvino-genai leaves the stack as it is: tests.signal_stack can go"
before.restore()
heard = []
signal.signal(signal.SIGUSR1, lambda *_: heard.append(1))
for _ in range(50):
    os.kill(os.getpid(), signal.SIGUSR1)
print(len(heard))
"""


def test_signals_are_heard_after_an_answer() -> None:
    """In a process of its own: without the cure it would end there."""
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert done.stdout.split()[-1] == "50"
