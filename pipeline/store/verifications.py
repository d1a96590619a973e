"""Verifications: which builds were seen working, on which device."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from pipeline.store.rows import VerificationRow
from pipeline.tables import builds, verifications


def add(connection: sa.Connection, build: int, device: str, figures: Mapping[str, Any], now: float) -> None:
    """The build was seen working on the device."""
    row = {"build_id": build, "device": device, "figures": figures, "created": now}
    connection.execute(verifications.insert().values(row))


def of_build(connection: sa.Connection, digest: bytes) -> list[VerificationRow]:
    """What is known of a build, newest first."""
    query = (
        sa.select(verifications.c.device, verifications.c.figures, verifications.c.created)
        .join(builds, builds.c.id == verifications.c.build_id)
        .where(builds.c.digest == digest)
        .order_by(verifications.c.id.desc())
    )
    return [VerificationRow(**row._mapping) for row in connection.execute(query)]
