"""Who answers: builds, the aliases that stand for them, the runtimes they ran in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from hashlib import blake2b
from typing import Any

import sqlalchemy as sa

from pipeline.jobs import State
from pipeline.prompts import canonical
from pipeline.store.dialects import insert
from pipeline.store.values import AliasRow, BuildFacts, KnownBuild
from pipeline.tables import aliases, answers, batch_items, builds, jobs, runtimes


def find_build(connection: sa.Connection, path: str, stamp: str) -> KnownBuild | None:
    """The build in a directory that is as it was when it was last hashed."""
    query = sa.select(builds.c.id, builds.c.digest).where(builds.c.path == path, builds.c.stamp == stamp).limit(1)
    row = connection.execute(query).one_or_none()
    return None if row is None else KnownBuild(row.id, bytes(row.digest))


def register_build(connection: sa.Connection, facts: BuildFacts, now: float) -> int:
    """The build's row. One that was known is as it was, but for the place where it was seen."""
    made = insert(connection, builds).values(**asdict(facts), created=now)
    place = {"path": facts.path, "stamp": facts.stamp}
    return _id(connection, made.on_conflict_do_update(index_elements=["digest"], set_=place).returning(builds.c.id))


def register_runtime(connection: sa.Connection, runtime: Mapping[str, Any], now: float) -> int:
    """The row of an engine with its device, versions and options."""
    digest = blake2b(canonical(dict(runtime)), digest_size=16).digest()
    made = insert(connection, runtimes).values(**runtime, digest=digest, created=now)
    same = {"digest": digest}  # changes nothing, but lets the row that is there be returned
    return _id(connection, made.on_conflict_do_update(index_elements=["digest"], set_=same).returning(runtimes.c.id))


def alias(connection: sa.Connection, name: str) -> AliasRow | None:
    """The build an alias stands for."""
    query = sa.select(builds.c.id, builds.c.digest, builds.c.path).join(aliases, aliases.c.build_id == builds.c.id)
    row = connection.execute(query.where(aliases.c.alias == name)).one_or_none()
    return None if row is None else AliasRow(row.id, bytes(row.digest), row.path)


def point_alias(connection: sa.Connection, name: str, build: int, now: float) -> None:
    """The alias stands for this build from now on."""
    values = {"build_id": build, "updated": now}
    made = insert(connection, aliases).values(alias=name, **values)
    connection.execute(made.on_conflict_do_update(index_elements=["alias"], set_=values))


def older_answers(connection: sa.Connection, name: str, batch: int | None) -> int:
    """How many done jobs (of a batch) were last answered by another build than the one the alias stands for now."""
    others = sa.exists().where(aliases.c.alias == name, builds.c.id != aliases.c.build_id)
    if not connection.execute(sa.select(others)).scalar_one():
        return 0
    newest = (
        sa.select(answers.c.build_id)
        .where(answers.c.job_id == jobs.c.id)
        .order_by(answers.c.claim_token.desc())
        .limit(1)
        .correlate(jobs)
        .scalar_subquery()
    )
    now_meant = sa.select(aliases.c.build_id).where(aliases.c.alias == name).scalar_subquery()
    done = sa.and_(jobs.c.model == name, jobs.c.state == State.DONE)
    query = sa.select(sa.func.count(jobs.c.id.distinct())).where(done, newest != now_meant)
    if batch is not None:
        query = query.join(batch_items, batch_items.c.job_id == jobs.c.id).where(batch_items.c.batch_id == batch)
    return int(connection.execute(query).scalar_one())


def _id(connection: sa.Connection, insert: sa.sql.dml.ReturningInsert[Any]) -> int:
    return int(connection.execute(insert).scalar_one())
