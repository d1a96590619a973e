"""Rows as views give them, where a test needs any."""

from __future__ import annotations

from pipeline.store.rows import BuildRow, PromptRow

BUILD = BuildRow(
    digest="ab" * 32,
    family="llava",
    source=None,
    revision=None,
    precision="int4",
    recipe=None,
    tools=None,
    licence=None,
    path="/demo",
)
PROMPT = PromptRow(system=None, examples=(), parameters={}, form=None)
