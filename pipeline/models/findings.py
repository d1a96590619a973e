"""Findings: what a verification saw a build do on a device."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.display import duration, number, size


@dataclass(frozen=True, kw_only=True)
class Findings:
    """The figures that are stored with a verification, and shown."""

    load_s: float
    peak_memory: int
    """bytes, of the process that held the model"""
    tokens_per_second: float
    """of the first answers, their pictures included"""
    answers: int
    equal: int | None
    """answers that the serial engine gave in the same words; none where there is nothing to compare with"""
    widest_gap: float | None
    """in log-probability, where two answers part; none where none did, or where it could not be told"""
    engine: str
    device_name: str
    versions: Mapping[str, str]
    options: Mapping[str, Any]

    def sentence(self) -> str:
        """`loads in 1.2 s, 512 MB at most, 31 tokens/s; all 3 answers as one at a time`."""
        speed = f"{self.tokens_per_second:,.{0 if self.tokens_per_second >= 10 else 1}f} tokens/s"
        return f"loads in {duration(self.load_s)}, {size(self.peak_memory)} at most, {speed}; {self._compared()}"

    def _compared(self) -> str:
        if self.equal is None:
            return f"{number(self.answers)} answers, with no other engine to compare them with"
        if self.equal == self.answers:
            return f"all {number(self.answers)} answers as one at a time"
        gap = "how near could not be told" if self.widest_gap is None else f"{self.widest_gap:.2f} apart at most"
        return (
            f"{number(self.equal)} of {number(self.answers)} answers as one at a time, the others at near-ties ({gap})"
        )
