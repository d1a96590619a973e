"""The options that say who is told when a batch ends."""

from __future__ import annotations

from dataclasses import dataclass

import click

from pipeline.errors import UsageError
from pipeline.options import together
from pipeline.remote.policy import Policy
from pipeline.remote.urls import WEB, parse
from pipeline.settings import Settings
from pipeline.store.notices import Kind


@dataclass(frozen=True, kw_only=True)
class OnDone:
    """Who is told when the batch ends."""

    on_done: tuple[str, ...] = ()
    on_done_run: tuple[str, ...] = ()

    def whom(self, settings: Settings) -> tuple[tuple[Kind, str], ...]:
        """Addresses and names of commands. Raises ForbiddenUrl, UsageError."""
        if self.on_done and settings.on_done_secret is None:
            raise UsageError(
                detail="--on-done: set PIXMILL_ON_DONE_SECRET, which signs the notice, here and for workers."
            )
        for url in self.on_done:
            Policy.of(settings).check(url)
            if parse(url).scheme not in WEB:
                raise UsageError(detail=f"--on-done {url}: a notice goes to https:// or http://.")
        for name in self.on_done_run:
            if name not in settings.commands:
                detail = f'--on-done-run {name}: pixmill.toml names no such command. Write {name} = ["program"] below'
                raise UsageError(detail=f"{detail} [commands] there.")
        urls = [(Kind.URL, url) for url in dict.fromkeys(self.on_done)]
        return (*urls, *((Kind.COMMAND, name) for name in dict.fromkeys(self.on_done_run)))


on_done_options = together(
    "on_done",
    OnDone,
    click.option(
        "--on-done",
        multiple=True,
        metavar="URL",
        help="Send a signed notice there when the batch has ended. Repeatable.",
    ),
    click.option(
        "--on-done-run",
        multiple=True,
        metavar="NAME",
        help="Run the command of that name in pixmill.toml when the batch has ended. Repeatable.",
    ),
)
