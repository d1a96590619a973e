from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from pipeline.errors import SettingInvalid, SetupError
from pipeline.settings import TABLE, Settings, debugging, nearest, read_settings


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "here").mkdir()
    return tmp_path / "here"


def read(folder: Path, flags: dict[str, object] | None = None, **environ: str) -> Settings:
    return read_settings(flags, environ={"HOME": str(folder.parent), **environ}, folder=folder)


def test_the_table_and_the_class_name_the_same_settings() -> None:
    assert [setting.name for setting in TABLE] == [f.name for f in dataclasses.fields(Settings) if f.name != "given"]
    assert all(setting.help and setting.default_text for setting in TABLE)


def test_defaults_and_no_folder_is_made(folder: Path) -> None:
    settings = read(folder)
    assert settings.home == folder.parent / ".local/share/pixmill"
    assert settings.database_url == f"sqlite:///{settings.home}/pixmill.db"
    assert settings.models == settings.home / "models"
    assert (settings.device, settings.model, settings.media_root, settings.given) == ("CPU", None, None, {})
    assert not settings.home.exists()


def test_xdg_data_home_moves_the_home_and_the_database(folder: Path) -> None:
    settings = read(folder, XDG_DATA_HOME="/data")
    assert (settings.home, settings.database_url) == (Path("/data/pixmill"), "sqlite:////data/pixmill/pixmill.db")


def test_flag_beats_environment_beats_file_beats_default(folder: Path) -> None:
    assert read(folder).device == "CPU"
    (folder / "pixmill.toml").write_text('device = "GPU.0"')
    assert read(folder).device == "GPU.0"
    assert read(folder, PIXMILL_DEVICE="GPU.1").device == "GPU.1"
    assert read(folder, {"device": "NPU", "model": None}, PIXMILL_DEVICE="GPU.1").device == "NPU"


def test_an_empty_variable_is_not_set(folder: Path) -> None:
    assert read(folder, PIXMILL_DEVICE="").device == "CPU"


def test_the_home_s_file_is_read_when_the_folder_has_none(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "pixmill.toml").write_text('device = "NPU"\nmedia_root = "pictures"')
    settings = read(folder, PIXMILL_HOME=str(tmp_path))
    assert (settings.device, settings.media_root) == ("NPU", tmp_path / "pictures")
    (folder / "pixmill.toml").write_text("")
    assert read(folder, PIXMILL_HOME=str(tmp_path)).device == "CPU"


def test_the_folder_s_file_may_name_the_home(folder: Path) -> None:
    (folder / "pixmill.toml").write_text('home = "data"')
    assert read(folder).home == folder / "data"
    assert read(folder, PIXMILL_HOME="/elsewhere").home == Path("/elsewhere")


def test_a_home_s_file_cannot_move_the_home(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "pixmill.toml").write_text('home = "data"')
    with pytest.raises(SettingInvalid, match=r"a home's own file cannot move the home"):
        read(folder, PIXMILL_HOME=str(tmp_path))


def test_an_unknown_key_names_the_file_and_the_nearest_known_one(folder: Path) -> None:
    (folder / "pixmill.toml").write_text('medai_root = "x"')
    with pytest.raises(SettingInvalid, match=re.escape(str(folder / "pixmill.toml"))) as caught:
        read(folder)
    assert "did you mean 'media_root'?" in str(caught.value)


@pytest.mark.parametrize("content", [b"device = ", b"\xff\xfe"])
def test_a_file_that_is_no_toml_is_a_sentence(folder: Path, content: bytes) -> None:
    (folder / "pixmill.toml").write_bytes(content)
    with pytest.raises(SetupError, match=r"pixmill\.toml cannot be read"):
        read(folder)


def test_relative_paths_start_from_where_they_are_written(folder: Path) -> None:
    (folder / "pixmill.toml").write_text('allowed_roots = ["a", "/b"]')
    assert read(folder).allowed_roots == (folder / "a", Path("/b"))
    assert read(folder, PIXMILL_ALLOWED_ROOTS="x:/y").allowed_roots == (folder / "x", Path("/y"))


@pytest.mark.parametrize(
    ("text", "number"), [("5", 5), ("64M", 64_000_000), ("64Mi", 64 * 2**20), ("1.5k", 1500), ("2 GB", 2 * 10**9)]
)
def test_counts(folder: Path, text: str, number: int) -> None:
    assert read(folder, PIXMILL_MAX_PICTURE_BYTES=text).max_picture_bytes == number


@pytest.mark.parametrize(
    ("variable", "value", "why"),
    [
        ("PIXMILL_MAX_PICTURE_BYTES", "0", "whole number above zero"),
        ("PIXMILL_MAX_PICTURE_PIXELS", "many", "whole number above zero"),
        ("PIXMILL_PICTURE_SECONDS", "-1", "seconds above zero"),
        ("PIXMILL_PICTURE_SECONDS", "inf", "seconds above zero"),
        ("PIXMILL_ENGINE_STALL_SECONDS", "soon", "seconds above zero"),
        ("PIXMILL_DATABASE_URL", "mysql://x", "sqlite:// or postgresql://"),
        ("PIXMILL_BROKER_URL", "localhost", "redis://"),
    ],
)
def test_a_value_that_cannot_be_used_says_where_it_comes_from(
    folder: Path, variable: str, value: str, why: str
) -> None:
    with pytest.raises(SettingInvalid, match=re.escape(f"{variable} = {value!r} (the environment)")) as caught:
        read(folder, **{variable: value})
    assert why in str(caught.value)


def test_a_toml_value_of_the_wrong_kind(folder: Path) -> None:
    (folder / "pixmill.toml").write_text("max_picture_bytes = true")
    with pytest.raises(SettingInvalid, match="max_picture_bytes = True"):
        read(folder)
    (folder / "pixmill.toml").write_text("device = 3")
    with pytest.raises(SettingInvalid, match="it must be text"):
        read(folder)


def test_passwords_are_not_shown(folder: Path) -> None:
    with pytest.raises(SettingInvalid) as caught:
        read(folder, PIXMILL_DATABASE_URL="mysql://me:secret@host/x")
    assert "secret" not in str(caught.value)
    assert "secret" not in repr(read(folder, PIXMILL_DATABASE_URL="postgresql://me:secret@host/x"))


def test_a_later_refusal_still_knows_the_origin(folder: Path) -> None:
    settings = read(folder, {"device": "GPU"})
    assert "--device = 'GPU' (the command line)" in str(settings.refused("device", "none here"))
    assert "(the default)" in str(read(folder).refused("device", "none here"))


def test_nearest() -> None:
    assert nearest("anwsers", ["run", "answers"]) == ", did you mean 'answers'?"
    assert nearest("xyz", ["run"]) == ""


@pytest.mark.parametrize(("value", "on"), [("1", True), ("0", False), ("", False)])
def test_debugging(monkeypatch: pytest.MonkeyPatch, value: str, on: bool) -> None:
    monkeypatch.setenv("PIXMILL_DEBUG", value)
    assert debugging() is on


def test_the_documentation_names_every_setting_and_no_other() -> None:
    root = Path(__file__).parents[2]
    text = "".join(path.read_text("utf-8") for path in (root / "README.md", *sorted((root / "docs").glob("*.md"))))
    named = set(re.findall(r"PIXMILL_[A-Z_]+", text))
    assert named - {"PIXMILL_DEBUG"} == {setting.variable for setting in TABLE}
