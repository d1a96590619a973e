"""What is shipped for servers: the compose file, the image, the units, the page about them.

Nothing here starts an engine: schema, structure, and every command put through the program's own parser.
"""

from __future__ import annotations

import importlib.metadata
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from packaging.requirements import Requirement

from pipeline.cli import cli
from pipeline.display import to_json
from pipeline.settings import read_settings

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "docker-compose.yml"
PAGE = ROOT / "docs/deployment.md"
UNITS = sorted((ROOT / "docs/systemd").iterdir())
SECONDS = {"": 1, "s": 1, "m": 60}


def parsed(words: Sequence[str]) -> click.Context:
    """The command that these words name, with its options understood; nothing is run."""
    command: click.Command = cli
    context, rest = click.Context(cli), list(words)
    while isinstance(command, click.Group):
        name, found, rest = command.resolve_command(context, rest)
        assert found, words
        command, context = found, click.Context(found, parent=context, info_name=name)
    return command.make_context(context.info_name, rest, parent=context.parent)


def seconds(text: str) -> float:
    found = re.fullmatch(r"(\d+)([sm]?)", text)
    assert found, text
    return float(found[1]) * SECONDS[found[2]]


def test_the_parser_refuses_what_the_program_would() -> None:
    assert parsed(["worker", "run", "--grace", "7"]).params["grace"] == 7
    for words in (["worker", "runs"], ["worker", "run", "--grave", "7"], ["worker", "run", "--grace", "soon"]):
        with pytest.raises(click.UsageError):
            parsed(words)


# --- docker-compose.yml --------------------------------------------------------------------------


def compose(text: str | None = None) -> Mapping[str, Any]:
    loaded: Mapping[str, Any] = yaml.safe_load(text or COMPOSE.read_text("utf-8"))
    return loaded


SERVICES: Mapping[str, Mapping[str, Any]] = compose()["services"]
ONE_SHOT = {"migrate", "pixmill"}


def schema_says(path: Path) -> subprocess.CompletedProcess[str]:
    words = ["-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(path)]
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False)


def test_it_is_what_the_compose_specification_says() -> None:
    done = schema_says(COMPOSE)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_schema_would_see_a_slip(tmp_path: Path) -> None:
    broken = tmp_path / "docker-compose.yml"
    broken.write_text(COMPOSE.read_text("utf-8").replace("healthcheck:", "healthchek:", 1))
    assert "healthchek" in schema_says(broken).stdout


def test_the_commented_worker_for_a_gpu_is_one_too(tmp_path: Path) -> None:
    text = COMPOSE.read_text("utf-8")
    block = text[text.index("  # worker-gpu:") :].partition("\n\n")[0]
    with_gpu = text.replace(block, re.sub(r"^  # ", "  ", block, flags=re.MULTILINE))
    service = compose(with_gpu)["services"]["worker-gpu"]
    assert parsed(service["command"]).params["device"] == "GPU.0"
    path = tmp_path / "docker-compose.yml"
    path.write_text(with_gpu)
    assert schema_says(path).returncode == 0


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_says_how_it_does_or_ends(name: str) -> None:
    service = SERVICES[name]
    assert ("healthcheck" in service) == (name not in ONE_SHOT)
    assert (service.get("restart") == "unless-stopped") == (name not in ONE_SHOT)


@pytest.mark.parametrize("name", SERVICES)
def test_images_are_ours_or_pinned(name: str) -> None:
    image = SERVICES[name]["image"]
    assert re.fullmatch(r"pixmill:\$\{PIXMILL_VERSION:-latest\}|[a-z]+:\d+(\.\d+)*", image), image
    assert ("build" in SERVICES[name]) == image.startswith("pixmill:")


@pytest.mark.parametrize("name", SERVICES)
def test_what_a_service_names_is_there(name: str) -> None:
    service, document = SERVICES[name], compose()
    for volume in service.get("volumes", ()):
        assert volume.partition(":")[0] in document["volumes"]
    for secret in service.get("secrets", ()):
        assert secret in document["secrets"]
    for other, terms in service.get("depends_on", {}).items():
        needed = "service_completed_successfully" if other in ONE_SHOT else "service_healthy"
        assert terms["condition"] == needed
        assert other in SERVICES


@pytest.mark.parametrize("name", [name for name in SERVICES if SERVICES[name]["image"].startswith("pixmill:")])
def test_our_services_run_commands_that_exist(name: str) -> None:
    service = SERVICES[name]
    if "command" in service:
        parsed(service["command"])
    if "healthcheck" in service:
        kind, *words = service["healthcheck"]["test"]
        program, *words = shlex.split(words[0].partition("|")[0]) if kind == "CMD-SHELL" else words
        assert program == "pixmill"
        parsed(words)


def test_the_watcher_s_check_looks_at_its_own_watch(tmp_path: Path) -> None:
    service = SERVICES["watcher"]
    name = parsed(service["command"]).params["name"]
    kind, line = service["healthcheck"]["test"]
    fake = tmp_path / "pixmill"
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    for watch, running, healthy in ((name, True, True), (name, False, False), ("other", True, False)):
        fake.write_text(f"#!/bin/sh\ncat <<'END'\n{to_json({'id': 1, 'name': watch, 'running': running})}\nEND\n")
        fake.chmod(0o755)
        done = subprocess.run(["sh", "-c", line], env=environment, check=False)
        assert (kind, done.returncode == 0) == ("CMD-SHELL", healthy)


@pytest.mark.parametrize("name", [name for name in SERVICES if SERVICES[name]["image"].startswith("pixmill:")])
def test_our_services_have_no_rights_they_do_not_need(name: str) -> None:
    service = SERVICES[name]
    assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
    assert "no-new-privileges:true" in service["security_opt"]
    assert not service.get("ports")
    assert "media:/media:ro" in service.get("volumes", ["media:/media:ro"])


@pytest.mark.parametrize("name", ["redis", "postgres"])
def test_the_servers_are_reached_by_our_services_alone(name: str) -> None:
    assert not SERVICES[name].get("ports")


def test_redis_keeps_a_log_and_throws_nothing_away() -> None:
    words = SERVICES["redis"]["command"]
    assert words[words.index("--appendonly") + 1] == "yes"
    assert words[words.index("--maxmemory-policy") + 1] == "noeviction"


def test_a_worker_is_stopped_only_after_its_grace() -> None:
    worker = SERVICES["worker"]
    assert seconds(worker["stop_grace_period"]) > parsed(worker["command"]).params["grace"]


def test_no_secret_stands_in_it() -> None:
    text = COMPOSE.read_text("utf-8")
    assert re.findall(r"\w+://[^/\s]*@", text) == []
    for service in SERVICES.values():
        for key in service.get("environment", {}):
            assert not re.search("PASSWORD|_URL|TOKEN", key) or key.endswith("_FILE"), key


def test_variables_that_name_secrets_name_those_of_the_service() -> None:
    for service in SERVICES.values():
        files = [value for key, value in service.get("environment", {}).items() if key.endswith("_FILE")]
        assert {Path(file).name for file in files} <= set(service.get("secrets", ()))
        assert all(file.startswith("/run/secrets/") for file in files)


# --- the secrets ---------------------------------------------------------------------------------


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    folder = tmp_path / "secrets"
    make_secrets(folder)
    return folder


def make_secrets(folder: Path) -> None:
    subprocess.run(["sh", ROOT / "docs/make-secrets", folder], check=True)


def test_secrets_are_made_as_the_settings_and_servers_read_them(secrets: Path) -> None:
    names = {"PIXMILL_DATABASE_URL_FILE": "database_url", "PIXMILL_BROKER_URL_FILE": "broker_url"}
    settings = read_settings(environ={name: str(secrets / file) for name, file in names.items()}, folder=secrets)
    password = (secrets / "postgres_password").read_text()
    assert settings.database_url == f"postgresql://pixmill:{password}@postgres/pixmill"
    word, password = (secrets / "redis.conf").read_text().split()
    assert (word, settings.broker_url) == ("requirepass", f"redis://:{password}@redis:6379/0")
    assert len(password) == 48


def test_every_secret_that_is_named_is_made(secrets: Path) -> None:
    named = {Path(secret["file"]).name for secret in compose()["secrets"].values()}
    assert {path.name for path in secrets.iterdir()} == named


def test_others_of_this_machine_cannot_reach_them(secrets: Path) -> None:
    assert secrets.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in secrets.iterdir()} == {0o444}


def test_secrets_are_made_once(secrets: Path) -> None:
    before = {path.name: path.read_text() for path in secrets.iterdir()}
    make_secrets(secrets)
    assert {path.name: path.read_text() for path in secrets.iterdir()} == before


# --- the image -----------------------------------------------------------------------------------


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's (WORD, what follows), without comments, each on one line."""
    lines = [line for line in (ROOT / "Dockerfile").read_text("utf-8").splitlines() if not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in joined.splitlines() if line)]


def dependencies(*extras: str) -> Iterator[str]:
    """Everything that `pip install pixmill[extras]` brings, as far as it is installed here."""
    seen: set[tuple[str, str]] = set()
    todo = [("pixmill", extra) for extra in ("", *extras)]
    while todo:
        name, extra = todo.pop()
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        yield name
        for requirement in map(Requirement, importlib.metadata.requires(name) or ()):
            if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
                todo += [(requirement.name, further) for further in ("", *requirement.extras)]


def test_the_image_holds_what_runs_and_no_torch() -> None:
    installs = [rest for word, rest in instructions() if word == "RUN" and "pip install" in rest]
    assert installs
    assert all("torch" not in rest and "convert" not in rest for rest in installs)
    brought = set(dependencies("postgres"))
    assert {"openvino-genai", "psycopg", "psycopg-binary"} <= brought
    assert brought.isdisjoint({"torch", "transformers", "optimum-intel"})


def test_the_image_runs_the_program_without_rights() -> None:
    words = instructions()
    stages = [rest for word, rest in words if word == "FROM"]
    assert [stage.split()[0] for stage in stages] == ["python:3.12-slim"] * 2
    last = words[max(index for index, (word, _) in enumerate(words) if word == "FROM") :]
    assert ("USER", "10001:10001") in last
    assert ("ENTRYPOINT", '["pixmill"]') in last
    assert [rest for word, rest in last if word == "COPY"] == ["--from=build /opt/pixmill /opt/pixmill"]


def test_what_the_image_copies_reaches_the_builder() -> None:
    ignore = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    copied = {
        name for word, rest in instructions() if word == "COPY" and "--from" not in rest for name in rest.split()[:-1]
    }
    assert {"pipeline", "workers", "migrations", "pyproject.toml"} <= copied
    assert "*" in ignore
    for name in copied:
        assert f"!{name}" in ignore
        assert (ROOT / name).exists()


# --- units ---------------------------------------------------------------------------------------


def directives(path: Path) -> list[tuple[str, str]]:
    lines = [line for line in path.read_text("utf-8").splitlines() if line and line[0] not in "#["]
    return [(key, value) for key, _, value in (line.partition("=") for line in lines)]


def of(path: Path, key: str) -> list[str]:
    return [value for name, value in directives(path) if name == key]


@pytest.mark.parametrize("path", [path for path in UNITS if path.suffix == ".service"], ids=lambda path: path.name)
def test_a_unit_s_command_exists(path: Path) -> None:
    (line,) = of(path, "ExecStart")
    program, *words = shlex.split(line)
    assert program == "/opt/pixmill/bin/pixmill"
    parsed([word for word in words if not word.startswith("$")])


@pytest.mark.parametrize("path", [path for path in UNITS if path.suffix == ".service"], ids=lambda path: path.name)
def test_a_unit_reads_its_addresses_from_credentials(path: Path) -> None:
    loaded = {value.partition(":")[0] for value in of(path, "LoadCredential")}
    given = dict(value.split("=", 1) for value in of(path, "Environment"))
    files = {key: value for key, value in given.items() if key.endswith("_FILE")}
    assert {value.removeprefix("%d/") for value in files.values()} == loaded
    assert "PIXMILL_DATABASE_URL_FILE" in files
    assert not any(key.endswith("_URL") for key in given)


def test_the_worker_s_unit_waits_for_its_grace_and_leaves_the_engine_to_it() -> None:
    unit = ROOT / "docs/systemd/pixmill-worker@.service"
    (command,) = of(unit, "ExecStart")
    grace = parsed([word for word in shlex.split(command)[1:] if not word.startswith("$")]).params["grace"]
    assert float(of(unit, "TimeoutStopSec")[0]) > grace
    assert of(unit, "KillMode") == ["mixed"]


def test_the_options_that_the_worker_s_unit_shows_are_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(64)))  # a machine that has those cores
    text = (ROOT / "docs/systemd/pixmill-worker@.service").read_text("utf-8")
    found = re.search(r"WORKER_OPTIONS=(.+)", text)
    assert found
    assert parsed(["worker", "run", *found[1].split()]).params["pinned"] == tuple(range(16))


# --- the page ------------------------------------------------------------------------------------


def shown_commands() -> list[str]:
    """The lines of the page's code that run the program."""
    lines = [line.strip() for line in PAGE.read_text("utf-8").splitlines() if line.startswith("    ")]
    found = [re.sub(r"^docker compose run --rm( -e \w+)? ", "", line) for line in lines]
    return [re.split(r"\s{2,}|\s*&&", line)[0] for line in found if line.startswith("pixmill ")]


def test_the_page_shows_commands_that_exist() -> None:
    commands = shown_commands()
    assert len(commands) > 5
    for command in commands:
        parsed(shlex.split(command)[1:])


def test_the_page_names_each_file() -> None:
    text = PAGE.read_text("utf-8")
    for path in (COMPOSE, ROOT / "Dockerfile", ROOT / "docs/make-secrets", *UNITS):
        assert path.name in text
