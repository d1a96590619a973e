"""Pages: HTML files for people to look at, each complete in itself, with nothing from elsewhere."""

from __future__ import annotations

from html import escape
from importlib.resources import files
from importlib.resources.abc import Traversable
from string import Template


def fill(template: Traversable, **parts: str) -> str:
    """A page's text: a template with its parts, which are HTML, in the style that all pages share.

    `$answers` is there for those that show answers below their pictures.
    """
    style, answers = ((files("workers.pages") / name).read_text("utf-8") for name in ("style.css", "answers.css"))
    return Template(template.read_text("utf-8")).substitute(style=style, answers=answers, **parts)


def figure(value: str, meaning: str) -> str:
    """A large figure with a few words below it."""
    return f'<div class="figure"><b>{escape(value)}</b><span>{escape(meaning)}</span></div>'
