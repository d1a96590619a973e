from __future__ import annotations

from dataclasses import replace

import sqlalchemy as sa

from pipeline import tables as t
from pipeline.store import AliasRow, KnownBuild, Store
from tests.store_world import FACTS, RUNTIME, World, answer


def test_a_build_is_known_by_its_digest(store: Store, world: World) -> None:
    full = replace(
        FACTS, digest=b"e" * 16, source="some/model", revision="r", recipe={"ratio": 1.0}, tools={"nncf": "3"}
    )
    build = store.register_build(full)
    assert build != world.build
    row = world.rows(sa.select(t.builds).where(t.builds.c.id == build))[0]
    assert (row.family, row.precision, row.source, row.revision) == ("fake", "int4", "some/model", "r")
    assert (row.recipe, row.tools, row.licence) == ({"ratio": 1.0}, {"nncf": "3"}, None)


def test_a_moved_build_is_the_same_and_found_at_its_new_place(store: Store, world: World) -> None:
    moved = replace(FACTS, path="/elsewhere", stamp="2", precision="int8")
    assert store.register_build(moved) == world.build
    assert store.find_build("/elsewhere", "2") == KnownBuild(world.build, FACTS.digest)
    assert store.find_build("/models/m", "1") is None
    assert store.find_build("/elsewhere", "1") is None
    assert world.rows(sa.select(t.builds.c.precision))[0].precision == "int4"


def test_a_runtime_is_known_by_what_it_is(store: Store, world: World) -> None:
    assert store.register_runtime(RUNTIME) == world.runtime
    assert store.register_runtime({**RUNTIME, "device": "GPU"}) != world.runtime
    assert world.rows(sa.select(t.runtimes))[0].versions == {"pixmill": "1"}


def test_an_alias_stands_for_a_build_until_it_is_pointed_elsewhere(store: Store, world: World) -> None:
    assert store.alias("m") is None
    store.point_alias("m", world.build)
    assert store.alias("m") == AliasRow(world.build, FACTS.digest, "/models/m")
    other = store.register_build(replace(FACTS, digest=b"e" * 16, path="/other"))
    store.point_alias("m", other)
    assert store.alias("m") == AliasRow(other, b"e" * 16, "/other")


def test_what_an_older_build_answered_is_counted(store: Store, world: World) -> None:
    assert store.older_answers("m") == 0
    store.point_alias("m", world.build)
    a, _ = world.do("a.jpg", "b.jpg")
    assert store.older_answers("m") == 0
    newer = store.register_build(replace(FACTS, digest=b"e" * 16))
    store.point_alias("m", newer)
    assert store.older_answers("m") == 2
    assert store.older_answers("m", world.submit("b.jpg")) == 1
    store.requeue([a.id], fresh=True)
    (again,) = world.claim()
    store.finish([answer(again)], worker=world.worker, build=newer, runtime=world.runtime)
    assert store.older_answers("m") == 1
    assert store.older_answers("other") == 0
