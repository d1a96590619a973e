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
        ("PIXMILL_ALLOWED_DOMAINS", "example.org:8080", "a host is meant"),
        ("PIXMILL_ALLOWED_DOMAINS", "ftp://example.org", "ftp:// is not fetched"),
        ("PIXMILL_ALLOW_PRIVATE", "maybe", "switched on with 1"),
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


def test_domains_come_from_everywhere_in_one_spelling(folder: Path) -> None:
    (folder / "pixmill.toml").write_text('allowed_domains = ["Example.org", "s3://pictures"]\nallow_private = true')
    settings = read(folder)
    assert (settings.allowed_domains, settings.allow_private) == (("example.org", "s3://pictures"), True)
    settings = read(folder, PIXMILL_ALLOWED_DOMAINS="a.org, *.b.org,a.org", PIXMILL_ALLOW_PRIVATE="0")
    assert (settings.allowed_domains, settings.allow_private) == (("a.org", ".b.org"), False)
    flags: dict[str, object] = {"allowed_domains": ("http://c.org,d.org", "d.org"), "allow_private": True}
    settings = read(folder, flags, PIXMILL_ALLOWED_DOMAINS="a.org")
    assert (settings.allowed_domains, settings.allow_private) == (("http://c.org", "d.org"), True)
    with pytest.raises(SettingInvalid, match="--allow-domain = "):
        read(folder, {"allowed_domains": ("a b",)})


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


@pytest.mark.parametrize(
    "address", ["mysql://me:se/cr@et@host/x", "mysql://me:sec\nret@host/x", "mysql://host/x?password=secret&a=b"]
)
def test_also_not_those_that_break_an_address(folder: Path, address: str) -> None:
    with pytest.raises(SettingInvalid, match=r"\*\*\*") as caught:
        read(folder, PIXMILL_DATABASE_URL=address)
    assert not re.search(r"et@|sec|se/cr", str(caught.value))


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("redis://:se/cret@host", "is written %2F"),
        ("redis://:se#cret@host", "is written %2F"),
        ("redis://host/0?password=secret", "stands before the host"),
        ("redis://:secret@host/tickets", "number of a database"),
    ],
)
def test_a_broker_s_address_is_looked_at(folder: Path, address: str, why: str) -> None:
    with pytest.raises(SettingInvalid, match=why) as caught:
        read(folder, PIXMILL_BROKER_URL=address)
    assert "cret" not in str(caught.value)


@pytest.mark.parametrize(
    "address",
    ["redis://host", "rediss://me:p%2Fw@host:6380/1?ssl_cert_reqs=required", "redis+socket:///run/redis.sock"],
)
def test_a_broker_s_address_passes_as_it_is(folder: Path, address: str) -> None:
    assert read(folder, PIXMILL_BROKER_URL=address).broker_url == address


@pytest.mark.parametrize(("given", "more"), [("", "?"), ("/0", "?"), ("/0?ssl_ca_certs=/ca.pem", "&")])
def test_a_broker_s_certificate_is_looked_at_unless_someone_says_otherwise(folder: Path, given: str, more: str) -> None:
    settings = read(folder, PIXMILL_BROKER_URL=f"rediss://host:6380{given}")
    assert settings.broker_url == f"rediss://host:6380{given}{more}ssl_cert_reqs=required"
    off = "rediss://host:6380/0?ssl_cert_reqs=none"
    assert read(folder, PIXMILL_BROKER_URL=off).broker_url == off


# --- addresses in files --------------------------------------------------------------------------


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    return tmp_path / "secret"


def test_an_address_may_stand_in_a_file(folder: Path, secret: Path) -> None:
    secret.write_text("postgresql://me:word@host/x\n")
    assert read(folder, PIXMILL_DATABASE_URL_FILE=str(secret)).database_url == "postgresql://me:word@host/x"
    secret.write_text("redis://:word@host/1")
    assert read(folder, PIXMILL_BROKER_URL_FILE=str(secret)).broker_url == "redis://:word@host/1"


def test_a_file_s_address_counts_as_the_environment_s(folder: Path, secret: Path) -> None:
    secret.write_text("redis://secret")
    (folder / "pixmill.toml").write_text('broker_url = "redis://toml"')
    assert read(folder, PIXMILL_BROKER_URL_FILE=str(secret)).broker_url == "redis://secret"
    flags = {"broker_url": "redis://flag"}
    assert read(folder, flags, PIXMILL_BROKER_URL_FILE=str(secret)).broker_url == "redis://flag"


def test_what_holds_no_password_stands_in_no_file(folder: Path, secret: Path) -> None:
    secret.write_text("GPU")
    assert read(folder, PIXMILL_DEVICE_FILE=str(secret)).device == "CPU"


@pytest.mark.parametrize("content", ["hunter2", "hunter2://x", "mysql://me:hunter2@host/x"])
def test_what_such_a_file_holds_is_never_shown(folder: Path, secret: Path, content: str) -> None:
    secret.write_text(content)
    with pytest.raises(SettingInvalid, match=re.escape(f"PIXMILL_DATABASE_URL_FILE = '{secret}'")) as caught:
        read(folder, PIXMILL_DATABASE_URL_FILE=str(secret))
    assert "what the file holds is refused: it must start with" in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "no such file"),
        (b"", "the file is empty"),
        (b" \n", "the file is empty"),
        (b"redis://a\nredis://b", "more than one line"),
        (b"\xff\xfe", "it holds no text"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(folder: Path, secret: Path, content: bytes | None, why: str) -> None:
    if content is not None:
        secret.write_bytes(content)
    with pytest.raises(SettingInvalid, match=re.escape(f"PIXMILL_BROKER_URL_FILE = '{secret}'")) as caught:
        read(folder, PIXMILL_BROKER_URL_FILE=str(secret))
    assert why in str(caught.value)


def test_a_directory_and_a_relative_path_are_no_secret_s_file(folder: Path) -> None:
    with pytest.raises(SettingInvalid, match="is a directory"):
        read(folder, PIXMILL_BROKER_URL_FILE=str(folder))
    with pytest.raises(SettingInvalid, match="a path from the root"):
        read(folder, PIXMILL_BROKER_URL_FILE="secret")


def test_an_address_in_two_places_is_refused(folder: Path, secret: Path) -> None:
    secret.write_text("redis://a")
    with pytest.raises(SettingInvalid, match="PIXMILL_BROKER_URL is given too"):
        read(folder, PIXMILL_BROKER_URL="redis://b", PIXMILL_BROKER_URL_FILE=str(secret))


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
    files = {setting.file_variable for setting in TABLE if setting.secret}
    assert named - {"PIXMILL_DEBUG"} == {setting.variable for setting in TABLE} | files
