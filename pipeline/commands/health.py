"""`pixmill worker health`: whether the workers of this machine, or of this container, get on."""

from __future__ import annotations

from dataclasses import asdict

import click

from pipeline import listing, options
from pipeline.context import open_to_read
from pipeline.display import duration, echo_lines, number, printable
from pipeline.jobs import Lane
from pipeline.owner import Owner
from pipeline.store.rows import HealthRow, WorkerState

WITHIN_S = 600.0
"""twice what an engine may stand still: it was started anew by then, and had time to answer"""


@click.command()
@click.option(
    "--within",
    type=options.Seconds(min=1),
    default=WITHIN_S,
    show_default=True,
    metavar="SECONDS",
    help="How long a worker with something to do may go without taking or answering a job.",
)
@options.lanes
@listing.json_lines
def health(within: float, lanes: tuple[Lane, ...], as_json: bool) -> int:
    """Say whether the workers here get on.

    Ends with 0 when each worker of this machine (inside a container: of this container) holds its lease, and
    answered something lately or has nothing to do. Ends with 1 when one does not, or there is none.
    """
    with open_to_read() as store:
        rows = store.views.health(Owner.current(), within_s=within, lanes=lanes)
    ailing = {row.worker.id: why for row in rows if (why := ailment(row, within))}
    if as_json:
        echo_lines({"ailment": ailing.get(row.worker.id), **asdict(row)} for row in rows)
    else:
        for row in rows:
            click.echo(f"{_name(row)} {ailing.get(row.worker.id) or _does(row)}.")
    if not rows:
        click.echo("No worker holds a lease here.", err=True)
    return 0 if rows and not ailing else 1


def ailment(row: HealthRow, within_s: float) -> str | None:
    """What is wrong with a worker, if anything. One that is asked to end need take nothing."""
    if row.worker.state is WorkerState.LEASE_OVER:
        return "has not renewed its lease: it stands still, or does not reach the database"
    if row.held and row.quiet_s > within_s:
        return f"has claimed and answered nothing for {duration(row.quiet_s)}, and holds {_jobs(row.held)}"
    if row.work_waits and row.worker.state is WorkerState.WORKING:
        return f"has taken nothing for {duration(row.quiet_s)}, though jobs wait; its log says why"
    return None


def _does(row: HealthRow) -> str:
    return f"is well, with {_jobs(row.held)} in hand" if row.held else "is well, with nothing to do"


def _name(row: HealthRow) -> str:
    return f"Worker {row.worker.id} ({printable(row.worker.model or '-')} on {row.worker.device or '-'})"


def _jobs(count: int) -> str:
    return f"{number(count)} job{'' if count == 1 else 's'}"
