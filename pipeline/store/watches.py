"""Watches: who looks after which folders, as long as its lease holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import sqlalchemy as sa

from pipeline.jobs import BatchState
from pipeline.owner import Owner
from pipeline.store.hardening import harden
from pipeline.store.transactions import Part
from pipeline.store.watched import WatchedFile, WatchedFiles, known
from pipeline.tables import batch_items, batches, watched_files, watches


@dataclass(frozen=True, kw_only=True, slots=True)
class WatchRow:
    """A watch, as people list it."""

    id: int
    name: str
    spec: Mapping[str, Any]
    running: bool
    owner: Mapping[str, Any] | None
    created: float
    files: Mapping[str, int]
    """by state"""


class Watches(Part):
    """The watches of a database."""

    def files(self, id: int) -> WatchedFiles:
        """What is known of a watch's files."""
        return WatchedFiles(self._transactions, id)

    def of(self, locator: str) -> list[tuple[str, WatchedFile]]:
        """What the watches know of a file, by their names."""
        with self._reading() as connection:
            return known(connection, locator)

    def harden(self) -> None:
        """All that was stored survives it when the power fails now."""
        harden(self._engine)

    def open(self, name: str, spec: Mapping[str, Any], me: Owner, lease_s: float) -> int | Owner:
        """The watch of that name, which is `me`'s from now on; or who has it."""
        with self._writing(alone=True) as (connection, now):
            row = connection.execute(sa.select(watches).where(watches.c.name == name)).one_or_none()
            if row is None:
                values = {"name": name, "spec": spec, "owner": asdict(me), "lease_until": now + lease_s, "created": now}
                query = watches.insert().values(values).returning(watches.c.id)
                return int(connection.execute(query).scalar_one())
            if row.lease_until is not None and row.lease_until > now:
                holder = Owner(**row.owner)
                if holder != me and not holder.gone_for(me):
                    return holder
            values = {"spec": spec, "owner": asdict(me), "lease_until": now + lease_s}
            connection.execute(watches.update().where(watches.c.id == row.id).values(values))
            return int(row.id)

    def renew(self, id: int, me: Owner, lease_s: float) -> bool:
        """Say that the watcher lives. False when another has taken over."""
        with self._writing() as (connection, now):
            mine = self._is_mine(connection, id, me)
            if mine:
                connection.execute(watches.update().where(watches.c.id == id).values(lease_until=now + lease_s))
            return mine

    def leave(self, id: int, me: Owner) -> None:
        """The watch is free, unless another has taken it over."""
        with self._writing() as (connection, _):
            if self._is_mine(connection, id, me):
                connection.execute(watches.update().where(watches.c.id == id).values(owner=None, lease_until=None))

    def _is_mine(self, connection: sa.Connection, id: int, me: Owner) -> bool:
        owner = connection.execute(sa.select(watches.c.owner).where(watches.c.id == id)).scalar_one_or_none()
        return owner is not None and Owner(**owner) == me

    def rows(self) -> list[WatchRow]:
        """All watches, with how their files stand."""
        files = watched_files.c
        count = sa.select(files.watch_id, files.state, sa.func.count().label("n"))
        with self._reading() as connection:
            now = self._now(connection)
            by_state: dict[int, dict[str, int]] = {}
            for row in connection.execute(count.group_by(files.watch_id, files.state)):
                by_state.setdefault(row.watch_id, {})[row.state] = row.n
            found = connection.execute(sa.select(watches).order_by(watches.c.name)).all()
        me = Owner.current()
        return [
            WatchRow(
                id=row.id,
                name=row.name,
                spec=row.spec,
                running=row.lease_until is not None and row.lease_until > now and not Owner(**row.owner).gone_for(me),
                owner=row.owner,
                created=row.created,
                files=by_state.get(row.id, {}),
            )
            for row in found
        ]

    def unsealed(self, origin: str) -> list[tuple[int, int]]:
        """Batches that a killed watcher left open, with how many rows they have."""
        rows = sa.func.coalesce(sa.func.max(batch_items.c.row_no) + 1, 0)
        query = (
            sa.select(batches.c.id, rows)
            .select_from(batches.outerjoin(batch_items, batch_items.c.batch_id == batches.c.id))
            .where(batches.c.origin == origin, batches.c.state == BatchState.VALIDATING)
            .group_by(batches.c.id)
        )
        with self._reading() as connection:
            return [(id, rows) for id, rows in connection.execute(query)]
