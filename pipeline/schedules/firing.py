"""A firing: the process in which one schedule's command runs once."""

from __future__ import annotations

import io
import json
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from datetime import UTC, datetime

import click

from pipeline.context import open_store
from pipeline.errors import PixmillError
from pipeline.occasion import Occasion
from pipeline.repeating import repeat
from pipeline.schedules.order import Order
from pipeline.settings import Settings
from pipeline.store import Store
from pipeline.store.firings import Begun, Firings, Outcome

log = logging.getLogger(__name__)

ALIVE_EVERY_S = 10.0
KEPT = 2_000
"""characters of what the command said, the last ones"""


def run(settings: Settings, id: int) -> None:
    """Run the command of a firing that was begun, and store how it went."""
    with open_store(settings) as store:
        if begun := store.firings.begun(id):
            order = Order.from_stored(begun.spec)
            with _alive(store, id):
                perform(store.firings, begun, order, settings)


def perform(firings: Firings, begun: Begun, order: Order, settings: Settings) -> Outcome:
    """Run the order; what it says is kept with the firing. Returns how that ended."""
    batch, said = _name(begun), io.StringIO()
    outcome = Outcome.FAILED
    try:
        with redirect_stdout(said), redirect_stderr(said):
            order.perform(settings, Occasion(origin=f"schedule:{begun.schedule}", batch=batch))
        outcome = Outcome.DONE
    except PixmillError as error:
        said.write(f"{error}\n")
    except click.ClickException as error:
        said.write(f"{error.format_message()}\n")
    except Exception as error:  # whatever it is, the history must say so; the log has where it came from
        said.write(f"{type(error).__name__}: {error}\n")
        raise
    finally:
        told = said.getvalue().strip()[-KEPT:]
        outcome, told = firings.end(begun.id, outcome, told, order.batch(batch))
        level = logging.INFO if outcome is Outcome.DONE else logging.WARNING
        log.log(level, "action=firing_ended schedule=%s outcome=%s said=%s", begun.schedule, outcome, json.dumps(told))
    return outcome


def _name(begun: Begun) -> str:
    """The batch of one firing: the same each time it is begun, so that a second process goes on with the first's."""
    return f"{begun.schedule}-{datetime.fromtimestamp(begun.due, UTC):%Y%m%d-%H%M%S}-{begun.id}"


@contextmanager
def _alive(store: Store, id: int) -> Iterator[None]:
    """Others hear of this process for as long as it is at work."""
    ended = threading.Event()
    # Whoever is not heard of is replaced: a busy database must not end this thread before the command.
    beat = [lambda: store.firings.alive(id), ended, ALIVE_EVERY_S]
    thread = threading.Thread(target=repeat, args=beat, name="alive", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
