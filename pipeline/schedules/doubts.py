"""Doubts: what would make an order fail if its time were now, and may still change until it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pipeline.display import printable
from pipeline.errors import PixmillError
from pipeline.models.builds import find_model
from pipeline.notify.options import OnDone
from pipeline.options import Reach
from pipeline.schedules.order import Order
from pipeline.settings import Settings, read_settings
from pipeline.store import Store

Check = Callable[[Order, Settings, Store], object]
"""raises what the command would end with"""


def doubts(order: Order, settings: Settings, store: Store) -> Iterator[str]:
    """Sentences, of which there are none where all is well on this machine."""
    if unseen := order.unseen(settings):
        yield f"{printable(unseen)} is not there."
    for check in CHECKS[order.command]:
        try:
            check(order, settings, store)
        except PixmillError as error:
            yield str(error)


def _model(order: Order, settings: Settings, store: Store) -> None:
    name = order.given.get("model")
    if not (name and store.alias(name)):
        find_model(name, settings.home)


def _told(order: Order, settings: Settings, store: Store) -> None:
    domains = tuple(order.given.get("allowed_domains", ()))
    reach = Reach(allowed_domains=domains, allow_private=order.given.get("allow_private", False))
    urls, names = (tuple(order.given.get(option, ())) for option in ("on_done", "on_done_run"))
    OnDone(on_done=urls, on_done_run=names).whom(read_settings(reach.flags))


def _batch(order: Order, settings: Settings, store: Store) -> None:
    option = "name" if order.command == "rerun" else "batch"
    if option in order.given:
        store.views.batch_head(order.given[option])


CHECKS: dict[str, tuple[Check, ...]] = {"submit": (_model, _told), "rerun": (_batch,), "export": (_batch,)}
