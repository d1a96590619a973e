"""Sight: whether this machine sees the files of orders, asked so that one share that hangs holds up nothing else."""

from __future__ import annotations

import threading
from concurrent.futures import Future

from pipeline.schedules.order import Order
from pipeline.settings import Settings

PATIENCE_S = 2.0


class Sight:
    """Looks in threads: on a network share that has gone away one look may take for ever."""

    def __init__(self, settings: Settings, *, patience_s: float = PATIENCE_S) -> None:
        self._settings, self._patience_s = settings, patience_s
        self._hanging: dict[int, Future[str | None]] = {}

    def lacks(self, id: int, order: Order) -> str | None:
        """What a firing's order is about and is not seen from here. A look that hangs is waited for once."""
        hanging = self._hanging.pop(id, None)
        look = hanging or self._look(order)
        try:
            return look.result(0 if hanging else self._patience_s)
        except TimeoutError:
            self._hanging[id] = look
            return "its file system, which does not answer,"

    def _look(self, order: Order) -> Future[str | None]:
        found: Future[str | None] = Future()

        def look() -> None:
            try:
                found.set_result(order.unseen(self._settings))
            except Exception as error:  # noqa: BLE001  raised where the future is looked at
                found.set_exception(error)

        threading.Thread(target=look, name="sight", daemon=True).start()
        return found
