"""The settings, read once from flags, environment and `pixmill.toml`, then passed on as values.

Flag > environment (`PIXMILL_*`) > `pixmill.toml` (in the current folder, else in the home) > default.
Addresses that hold a password may stand in a file of their own, which a variable names (`PIXMILL_*_FILE`).
`TABLE` is the one list of them: reading, help and documentation all go by it.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote_from_bytes, urlsplit

from pipeline import amounts
from pipeline.errors import ForbiddenUrl, SettingInvalid, SetupError
from pipeline.remote.urls import allowed

FILE = "pixmill.toml"
TABLES = (
    "commands",
    "worker",
    "watch",
)
"""what else may stand in it, as [[...]]: whoever uses these checks them"""


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: `parse(value, folder)` raises ValueError with the reason; `default` sees the home."""

    name: str
    parse: Callable[[object, Path], Any]
    default: Callable[[Path], Any]
    default_text: str
    help: str
    secret: bool = False
    """whether it may hold a password, and so may stand in a file of its own"""
    option: str | None = None
    """its flag, where that is no plain form of the name"""

    @property
    def variable(self) -> str:
        return f"PIXMILL_{self.name.upper()}"

    @property
    def file_variable(self) -> str:
        return f"{self.variable}_FILE"

    @property
    def flag(self) -> str:
        return self.option or f"--{self.name.replace('_', '-')}"


@dataclass(frozen=True, slots=True)
class Given:
    """A value as a person gave it: how it is spelled there, where that is, what relative paths start from."""

    value: object
    spelling: str
    origin: str
    folder: Path
    file: str | None = None
    """the file that holds the value, which is never shown then: it may be a bare password"""

    def refused(self, why: str) -> SettingInvalid:
        if self.file is not None:
            why = f"what the file holds is refused: {why}"
            return SettingInvalid(name=self.spelling, value=self.file, origin=self.origin, why=why)
        value = _without_password(self.value) if isinstance(self.value, str) else self.value
        return SettingInvalid(name=self.spelling, value=value, origin=self.origin, why=why)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What `TABLE` says, as values."""

    home: Path
    database_url: str = field(repr=False)
    broker_url: str = field(repr=False)
    media_root: Path | None
    allowed_roots: tuple[Path, ...] | None
    model: str | None
    device: str
    max_picture_bytes: int
    max_picture_pixels: int
    picture_seconds: float
    max_line_bytes: int
    max_field_bytes: int
    allowed_domains: tuple[str, ...]
    allow_private: bool
    fetch_seconds: float
    fetch_cache_bytes: int
    engine_stall_seconds: float
    on_done_secret: str | None = field(repr=False)
    given: Mapping[str, Given] = field(repr=False, compare=False)
    """what was set by anyone; the rest are defaults"""

    @property
    def models(self) -> Path:
        """The folder whose folders are models that go by their names."""
        return self.home / "models"

    @property
    def fetched(self) -> Path:
        """The folder of pictures that were fetched from elsewhere."""
        return self.home / "cache" / "remote"

    def tables(self, name: str) -> tuple[Given, ...]:
        """The [[name]] tables of `pixmill.toml`, in order."""
        given = self.given.get(name)
        if given is None:
            return ()
        if not isinstance(given.value, list) or not all(isinstance(table, dict) for table in given.value):
            raise given.refused(f"write [[{name}]], in two pairs of brackets, above each")
        return tuple(replace(given, value=table, spelling=f"[[{name}]]") for table in given.value)

    @property
    def commands(self) -> Mapping[str, tuple[str, ...]]:
        """The [commands] of `pixmill.toml`: NAME = ["program", "argument", ...]."""
        given = self.given.get("commands")
        if given is None:
            return {}
        if not isinstance(given.value, dict):
            raise given.refused("write [commands] above them")
        return {name: _words(replace(given, value=words, spelling=name)) for name, words in given.value.items()}

    def refused(self, name: str, why: str) -> SettingInvalid:
        """The error for a value that turns out to be unusable later; it says where the value came from."""
        given = self.given.get(name) or Given(getattr(self, name), name, "the default", self.home)
        return given.refused(why)


def read_settings(
    flags: Mapping[str, object] | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Settings:
    """The settings of this program. A flag of None was not given; an empty variable is not set."""
    environ = os.environ if environ is None else environ
    folder = Path.cwd() if folder is None else folder
    asked = _of_environment(environ, folder) | _of_flags(flags or {}, folder)
    given = _of_file(folder / FILE, TABLE) | asked
    home = _value(BY_NAME["home"], given, _default_home(environ))
    if not (folder / FILE).exists():
        given = _of_file(home / FILE, TABLE[1:]) | given
    values = {setting.name: _value(setting, given, home) for setting in TABLE}
    return Settings(**values, given=given)


def debugging() -> bool:
    """Whether errors show where they come from: PIXMILL_DEBUG=1."""
    return os.environ.get("PIXMILL_DEBUG", "") not in ("", "0")


def _value(setting: Setting, given: Mapping[str, Given], home: Path) -> Any:
    if setting.name not in given:
        return setting.default(home)
    found = given[setting.name]
    try:
        return setting.parse(found.value, found.folder)
    except ValueError as error:
        raise found.refused(str(error)) from None


def _of_flags(flags: Mapping[str, object], folder: Path) -> dict[str, Given]:
    return {
        name: Given(value, BY_NAME[name].flag, "the command line", folder)
        for name, value in flags.items()
        if value is not None
    }


def _of_environment(environ: Mapping[str, str], folder: Path) -> dict[str, Given]:
    given = {
        setting.name: Given(environ[setting.variable], setting.variable, "the environment", folder)
        for setting in TABLE
        if environ.get(setting.variable)
    }
    for setting in TABLE:
        if setting.secret and (path := environ.get(setting.file_variable)):
            if setting.name in given:
                raise _unfit_file(setting, path, f"{setting.variable} is given too. Keep one of them")
            given[setting.name] = _of_secret_file(setting, path, folder)
    return given


def _of_secret_file(setting: Setting, path: str, folder: Path) -> Given:
    """The one line of a file that others may not read, such as a container's or a service's secret."""
    if not os.path.isabs(path):
        raise _unfit_file(setting, path, "it must be a path from the root, such as /run/secrets/NAME")
    try:
        value = Path(path).read_text("utf-8").strip()
    except OSError as error:
        raise _unfit_file(setting, path, f"{(error.strerror or str(error)).lower()}") from None
    except UnicodeDecodeError:
        raise _unfit_file(setting, path, "it holds no text") from None
    if len(value.splitlines()) != 1:
        raise _unfit_file(setting, path, "it holds more than one line" if value else "the file is empty")
    return Given(value, setting.file_variable, "the environment", folder, file=path)


def _unfit_file(setting: Setting, path: str, why: str) -> SettingInvalid:
    return SettingInvalid(name=setting.file_variable, value=path, origin="the environment", why=why)


def _of_file(path: Path, known: tuple[Setting, ...]) -> dict[str, Given]:
    try:
        values = tomllib.loads(path.read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError) as error:
        raise SetupError(detail=f"{path} cannot be read: {error}") from None
    given = {key: Given(value, key, str(path), path.parent) for key, value in values.items()}
    names = [*(setting.name for setting in known), *TABLES]
    for key in given.keys() - set(names):
        raise given[key].refused(f"{_unknown(key)}{nearest(key, names)}")
    return given


def _unknown(key: str) -> str:
    return "a home's own file cannot move the home" if key == "home" else "there is no such setting"


def nearest(word: str, words: list[str]) -> str:
    """`, did you mean "run"?` when one of the words is close, else nothing."""
    close = difflib.get_close_matches(word, words, n=1)
    return f", did you mean {close[0]!r}?" if close else ""


def _without_password(address: str) -> str:
    # Up to the last @: a password may hold one, though it should be written %40.
    hidden = re.sub(r"(://[^:/@]*):.*@", r"\1:***@", address, flags=re.DOTALL)
    return re.sub(r"(password=)[^&]*", r"\1***", hidden)


# --- parsers -----------------------------------------------------------------------------------


def _words(given: Given) -> tuple[str, ...]:
    words = given.value
    if not (isinstance(words, list) and words and all(isinstance(word, str) for word in words)):
        raise given.refused('a command is a list of words, such as ["mail", "-s", "done", "me@example.org"]')
    return tuple(words)


def _text(value: object, folder: Path) -> str:
    if not isinstance(value, str):
        raise ValueError("it must be text")
    return value


def _path(value: object, folder: Path) -> Path:
    return folder / Path(_text(value, folder)).expanduser()


def _paths(value: object, folder: Path) -> tuple[Path, ...]:
    parts = value if isinstance(value, list) else _text(value, folder).split(os.pathsep)
    return tuple(_path(part, folder) for part in parts if part)


def _url(*schemes: str) -> Callable[[object, Path], str]:
    def parse(value: object, folder: Path) -> str:
        url = _text(value, folder)
        scheme, colon, _ = url.partition(":")
        if not colon or scheme.partition("+")[0] not in schemes:
            raise ValueError(f"it must start with {' or '.join(f'{scheme}://' for scheme in schemes)}")
        return url

    return parse


def _broker(value: object, folder: Path) -> str:
    url = _url("redis", "rediss")(value, folder)
    try:
        place = urlsplit(url)
        place.port  # noqa: B018  raises when it is no number
    except ValueError:
        raise ValueError("it is no address; in a password / is written %2F, # %23, ? %3F and @ %40") from None
    if "password=" in place.query:
        raise ValueError("a password stands before the host, as in redis://:PASSWORD@HOST:6379/0")
    if place.scheme in ("redis", "rediss") and not re.fullmatch(r"/?\d*", place.path):
        raise ValueError("what follows the host is the number of a database, as in redis://HOST:6379/0")
    if place.scheme == "rediss" and "ssl_cert_reqs=" not in place.query:
        # kombu 5.7 encrypts then, and asks nobody who he is: any certificate will do.
        return url + ("&" if place.query else "?") + "ssl_cert_reqs=required"
    return url


def _domains(value: object, folder: Path) -> tuple[str, ...]:
    texts = value if isinstance(value, (list, tuple)) else [value]
    parts = [part for text in texts for part in _text(text, folder).split(",")]
    try:
        return tuple(dict.fromkeys(allowed(part) for part in parts if part))
    except ForbiddenUrl as error:
        raise ValueError(str(error.facts["why"])) from None


def _switch(value: object, folder: Path) -> bool:
    switches = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    if (text := str(value).strip().lower()) not in switches:
        raise ValueError("it is switched on with 1 and off with 0")
    return switches[text]


def _count(value: object, folder: Path) -> int:
    return amounts.parse(str(value))


def _seconds(value: object, folder: Path) -> float:
    try:
        seconds = float(str(value))
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise ValueError("it must be a number of seconds above zero")
    return seconds


def _default_home(environ: Mapping[str, str]) -> Path:
    data = environ.get("XDG_DATA_HOME") or os.path.join(environ.get("HOME") or Path.home(), ".local", "share")
    return Path(data) / "pixmill"


def _fixed(value: Any) -> Callable[[Path], Any]:
    return lambda home: value


TABLE: tuple[Setting, ...] = (
    Setting(
        "home",
        _path,
        lambda home: home,
        "$XDG_DATA_HOME/pixmill, or ~/.local/share/pixmill",
        "folder of models and of the embedded database",
    ),
    Setting(
        "database_url",
        _url("sqlite", "postgresql", "postgres"),
        lambda home: f"sqlite:///{quote_from_bytes(os.fsencode(home / 'pixmill.db'))}",
        "sqlite:///HOME/pixmill.db",
        "where jobs and answers are kept: sqlite:///FILE or postgresql://USER@HOST/NAME",
        secret=True,
    ),
    Setting(
        "broker_url",
        _broker,
        _fixed("redis://localhost:6379/0"),
        "redis://localhost:6379/0",
        "the Redis that carries tickets to workers; `pixmill run` needs none",
        secret=True,
    ),
    Setting(
        "media_root",
        _path,
        _fixed(None),
        "none",
        "pictures below it are stored relative to it, so that each host may mount it elsewhere",
    ),
    Setting(
        "allowed_roots",
        _paths,
        _fixed(None),
        "anywhere",
        f"only pictures below these folders are read (several: separated by {os.pathsep!r})",
    ),
    Setting("model", _text, _fixed(None), "none", "the model when -m is not given: a name or a directory"),
    Setting("device", _text, _fixed("CPU"), "CPU", "the OpenVINO device, as `pixmill devices` names it"),
    Setting("max_picture_bytes", _count, _fixed(256 * 2**20), "256Mi", "a larger file is not read"),
    Setting("max_picture_pixels", _count, _fixed(100_000_000), "100M", "a picture with more is not decoded"),
    Setting("picture_seconds", _seconds, _fixed(30.0), "30", "a picture that takes longer to decode is given up"),
    Setting("max_line_bytes", _count, _fixed(16 * 2**20), "16Mi", "a longer line of a manifest is not read"),
    Setting("max_field_bytes", _count, _fixed(2**20), "1Mi", "a longer cell of a CSV or TSV manifest is not read"),
    Setting(
        "allowed_domains",
        _domains,
        _fixed(()),
        "none",
        "pictures are fetched from these only: example.org, .example.org, http://example.org, s3://BUCKET "
        "(several: separated by ',')",
        option="--allow-domain",
    ),
    Setting("allow_private", _switch, _fixed(False), "0", "whether they may lie in private networks: 1 or 0"),
    Setting("fetch_seconds", _seconds, _fixed(60.0), "60", "a picture that takes longer to fetch is tried again later"),
    Setting("fetch_cache_bytes", _count, _fixed(10 * 2**30), "10Gi", "fetched pictures are kept up to so many bytes"),
    Setting(
        "engine_stall_seconds",
        _seconds,
        _fixed(300.0),
        "300",
        "an engine without progress for so long is started anew",
    ),
    Setting(
        "on_done_secret",
        _text,
        _fixed(None),
        "none",
        "signs what is sent to the addresses of --on-done; where it is not set, none is sent",
        secret=True,
    ),
)
BY_NAME = {setting.name: setting for setting in TABLE}
