"""The demo model: a small world of drawn scenes whose truth is known, and a model that was taught it."""

from pathlib import Path

INT4 = Path(__file__).parent / "int4"
"""the build that ships with the program"""
