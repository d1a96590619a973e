from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.errors import ForbiddenPath, JobError
from pipeline.locators import Picture
from pipeline.settings import Settings, read_settings
from pipeline.sources.manifests.finding import finder
from pipeline.sources.named import picture


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for name in ("a.jpg", "b c.jpg", "sub/a.jpg", ".hidden.jpg"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"x")
    return folder


def settings(folder: Path, media_root: Path | None = None) -> Settings:
    return replace(read_settings(environ={"HOME": str(folder)}, folder=folder), media_root=media_root)


def told(find: object, *args: object) -> Picture | tuple[type, str]:
    try:
        return find(*args)  # type: ignore[operator, no-any-return]
    except JobError as error:
        return type(error), str(error)


@given(name=st.text(st.sampled_from("ab/.jpg%#: \0ä-_~+@=,\\")) | st.sampled_from(["sub/a.jpg", "sub/../a.jpg"]))
@example(name="a.jpg")
@example(name="b c.jpg")
@example(name=".hidden.jpg")
@example(name="sub//a.jpg")
@example(name="x.tar#a.jpg")
@example(name="x" * 5000)
def test_it_finds_what_named_pictures_finds(folder: Path, name: str) -> None:
    for root in (None, folder, folder / "sub"):
        chosen = settings(folder, root)
        assert told(finder(folder, chosen), name) == told(picture, name, folder, chosen)


def test_a_folder_given_relatively(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder / "sub")
    for base in (Path(), Path(".."), Path(os.pardir, "sub")):
        chosen = settings(folder)
        assert finder(base, chosen)("a.jpg") == picture("a.jpg", base, chosen)


def test_allowed_folders_are_kept_to(folder: Path) -> None:
    inside = replace(settings(folder), allowed_roots=(folder / "sub",))
    assert finder(folder, inside)("sub/a.jpg").size == 1
    with pytest.raises(ForbiddenPath):
        finder(folder, inside)("a.jpg")
