from __future__ import annotations

import pytest

from workers.engine.complaint import complaint


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("Exception from src/a.cpp:1:\nException from src/b.cpp:2:\nIncorrect weights!\n\n\n", "Incorrect weights!"),
        ("Check 'outH > 0' failed at /home/x/clip.cpp:178\n", "Check 'outH > 0' failed"),
        ("Device is gone.", "Device is gone"),
        ("", "RuntimeError"),
    ],
)
def test_the_last_line_without_the_place(message: str, expected: str) -> None:
    assert complaint(RuntimeError(message)) == expected
