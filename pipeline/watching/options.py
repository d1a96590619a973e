"""The options of a watch that are about files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import click

from pipeline.options import Seconds, together
from pipeline.watching.plan import PATIENCE_S, RESCAN_S, STABLE_S, After, Fate, Plan, Ready, check, check_fates


@dataclass(frozen=True, kw_only=True)
class PlanOptions:
    """What a person said about files."""

    folders: tuple[str, ...]
    include: tuple[str, ...]
    exclude: tuple[str, ...]
    stable_for: float
    ready: str
    rescan: float
    patience: float
    poll: float | None
    tags: bool
    on_success: Fate
    on_failure: Fate
    sidecar: str | None

    def plan(self, *, oneshot: bool) -> Plan:
        """The plan. Raises UsageError."""
        given = {name: getattr(self, name) for name in self.__dataclass_fields__ if name not in ("folders", "ready")}
        plan = Plan(folders=check(self.folders), ready=Ready(self.ready), oneshot=oneshot, **given)
        check_fates(plan)
        return plan


def _fate(*may: After) -> Callable[[click.Context, click.Parameter, str], Fate]:
    def parse(context: click.Context, parameter: click.Parameter, value: str) -> Fate:
        try:
            return Fate.parse(value, may=may)
        except ValueError as error:
            raise click.BadParameter(f"{value!r}: {error}") from None

    return parse


_seconds = Seconds(min=0)

plan_options = together(
    "plan",
    PlanOptions,
    click.argument("folders", nargs=-1, required=True, metavar="DIR..."),
    click.option("--include", multiple=True, metavar="GLOB", help="Take only files that match. Repeatable."),
    click.option("--exclude", multiple=True, metavar="GLOB", help="Leave out files that match. Repeatable."),
    click.option(
        "--stable-for",
        type=_seconds,
        default=STABLE_S,
        show_default=True,
        metavar="SECONDS",
        help="How long size and time of a file must not change before it is taken.",
    ),
    click.option(
        "--ready",
        type=click.Choice([one.value for one in Ready]),
        default=Ready.STABLE.value,
        show_default=True,
        help="What says that a file is complete: that it stays as it is, its final name, or a file x.jpg.done.",
    ),
    click.option(
        "--rescan",
        type=Seconds(min=0.1),
        default=RESCAN_S,
        show_default=True,
        metavar="SECONDS",
        help="How often all is looked at again, whatever events said.",
    ),
    click.option(
        "--patience",
        type=_seconds,
        default=PATIENCE_S,
        show_default=True,
        metavar="SECONDS",
        help="How long a picture that ends too early is tried again before it counts as broken.",
    ),
    click.option(
        "--poll",
        type=Seconds(min=0.1),
        metavar="SECONDS",
        help="Look this often instead of waiting for events; network folders are polled anyway.",
    ),
    click.option("--tags", is_flag=True, help="The names of a picture's subfolders become its column `tags`."),
    click.option(
        "--on-success",
        callback=_fate(After.KEEP, After.MOVE, After.DELETE),
        default="keep",
        show_default=True,
        metavar="FATE",
        help="What becomes of an answered picture: keep, 'move DIR' or delete.",
    ),
    click.option(
        "--on-failure",
        callback=_fate(After.KEEP, After.MOVE),
        default="keep",
        show_default=True,
        metavar="FATE",
        help="What becomes of one without an answer: keep or 'move DIR'. x.jpg.error.json beside it says why.",
    ),
    click.option(
        "--sidecar", type=click.Choice(("txt", "json", "xmp")), help="Write the answers beside the picture, too."
    ),
)
