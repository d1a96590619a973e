"""Pulling from a hub of our own, with the real huggingface_hub."""

from __future__ import annotations

import errno
import os
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipeline import errors
from pipeline.models import builds, manifest
from pipeline.models.hub import Hub, Snapshot
from pipeline.models.pulling import Wanted, pull, wanted
from pipeline.models.staging import staged
from tests.hub import RESET, HubServer, hub_server
from tests.models import make

REPO = "OpenVINO/Tiny-int4-ov"
WEIGHTS = "openvino_language_model.bin"
PIECE = 1 << 20
Pull = Callable[..., tuple[Snapshot, bool]]


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A build as repositories have them, with weights of a few pieces, and what nobody needs beside it."""
    folder = make("llava", tmp_path_factory.mktemp("repo"))
    with (folder / WEIGHTS).open("ab") as file:
        file.write(os.urandom(5 * PIECE))
    for name in ("README.md", ".gitattributes", "modeling_llava.py", "photo.jpg", "pixmill.json"):
        (folder / name).write_text("not needed")
    (folder / "onnx").mkdir()
    (folder / "onnx" / "config.json").write_text("{}")
    return folder


@pytest.fixture
def hub(build: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with hub_server() as server:
        server.add(REPO, build)
        yield server


@pytest.fixture
def models(tmp_path: Path) -> Path:
    return tmp_path / "home" / "models"


@pytest.fixture
def go(hub: HubServer, models: Path) -> Pull:
    def go(repo: str = REPO, revision: str | None = None, name: str = "tiny", tell: object = None) -> object:
        told = tell or (lambda done, total: None)
        return pull(models, Hub(hub.url), Wanted(name=name, repo=repo, revision=revision), told)

    return go


def same(build: Path, pulled: Path) -> bool:
    """Whether a pulled build has the repository's files, and only those that a build has."""
    names = {path.name for path in pulled.iterdir()} - {"pixmill.json"}
    assert not names & {"README.md", ".gitattributes", "modeling_llava.py", "photo.jpg", "onnx"}
    return all((pulled / name).read_bytes() == (build / name).read_bytes() for name in names) and WEIGHTS in names


def test_a_build_comes_whole_and_says_where_from(go: Pull, models: Path, build: Path, hub: HubServer) -> None:
    seen: list[tuple[int, int]] = []
    snapshot, known = go(tell=lambda done, total: seen.append((done, total)))
    told = builds.manifest(models / "tiny")
    assert not known and same(build, models / "tiny")
    assert (told["source"], told["revision"], told["licence"]) == (REPO, "a" * 40, "apache-2.0")
    assert (told["name"], told["family"], told["size"]) == ("tiny", "llava", snapshot.size)
    manifest.check(models / "tiny", builds.hashes(models / "tiny"))
    counts = [done for done, _ in seen]
    assert counts == sorted(counts) and seen[-1] == (snapshot.size, snapshot.size) and len(counts) > 10
    assert sum(hub.served.values()) == snapshot.size
    assert {path.name for path in (models / ".staging").iterdir()} == {"tiny.lock"}


def test_again_fetches_nothing_while_the_commit_stays(go: Pull, models: Path, hub: HubServer, build: Path) -> None:
    go()
    hub.served.clear()
    assert go()[1] and not hub.served
    hub.repos[REPO].commits["b" * 40] = build
    hub.repos[REPO].branches["main"] = "b" * 40
    assert not go()[1] and builds.manifest(models / "tiny")["revision"] == "b" * 40
    assert go(revision="a" * 40)[0].commit == "a" * 40


def test_a_damaged_build_is_pulled_anew(go: Pull, models: Path, build: Path) -> None:
    go()
    (models / "tiny" / WEIGHTS).write_bytes(b"damaged")
    assert not go()[1] and same(build, models / "tiny")


def test_a_repository_does_not_take_the_name_of_another_s_build(
    go: Pull, models: Path, hub: HubServer, build: Path
) -> None:
    go()
    hub.add("Somebody/tiny", build)
    hub.served.clear()
    with pytest.raises(errors.ModelNameOther, match=f"'tiny' has a model from {REPO} already"):
        go("Somebody/tiny")
    assert not hub.served and builds.manifest(models / "tiny")["source"] == REPO


def test_a_broken_connection_goes_on_where_it_broke(go: Pull, models: Path, build: Path, hub: HubServer) -> None:
    size = (build / WEIGHTS).stat().st_size
    hub.cuts[WEIGHTS] = [2 * PIECE + 5, PIECE + 7]
    go()
    assert same(build, models / "tiny")
    assert size <= hub.served[WEIGHTS] < size + 2 * PIECE


def test_what_came_before_a_break_for_good_is_kept(go: Pull, models: Path, build: Path, hub: HubServer) -> None:
    hub.cuts[WEIGHTS] = [3 * PIECE + 5, *[RESET] * 20]
    with pytest.raises(errors.DownloadCut, match=r"language_model.bin ended at 3.1 MB of 5.* to go on from there"):
        go()
    assert not (models / "tiny").exists()
    hub.cuts.clear()
    hub.served.clear()
    go()
    assert same(build, models / "tiny")
    assert hub.served == {WEIGHTS: (build / WEIGHTS).stat().st_size - 3 * PIECE}


def test_a_hub_that_serves_no_parts_is_fine(go: Pull, models: Path, build: Path, hub: HubServer) -> None:
    hub.ranges = False
    hub.cuts[WEIGHTS] = [2 * PIECE + 5]
    go()
    assert same(build, models / "tiny")


def test_another_commit_does_not_go_on_from_what_is_kept(
    go: Pull, models: Path, hub: HubServer, build: Path, tmp_path: Path
) -> None:
    hub.wrong.add(WEIGHTS)
    with pytest.raises(errors.DownloadWrong):
        go()
    hub.wrong.clear()
    newer = Path(shutil.copytree(build, tmp_path / "newer"))
    (newer / "merges.txt").write_text("new")
    (newer / "chat_template.jinja").unlink()
    hub.repos[REPO].commits["b" * 40] = newer
    go(revision="b" * 40)
    names = {path.name for path in (models / "tiny").iterdir()}
    assert same(newer, models / "tiny") and "merges.txt" in names and "chat_template.jinja" not in names


@pytest.mark.parametrize("name", ["config.json", WEIGHTS])
def test_wrong_content_is_removed_and_said(go: Pull, models: Path, build: Path, hub: HubServer, name: str) -> None:
    hub.wrong.add(name)
    with pytest.raises(errors.DownloadWrong, match=f"{name} came with other content than {REPO}"):
        go()
    assert not (models / "tiny").exists() and not (models / ".staging" / "tiny" / name).exists()
    hub.wrong.clear()
    go()
    assert same(build, models / "tiny")


def test_names_that_lead_elsewhere_are_left_alone(go: Pull, models: Path, hub: HubServer) -> None:
    names = ["../evil.json", "/tmp/evil.json", ".evil.json", "a/../../evil.json", "..\\evil.json", "evil\n.json"]
    hub.repos[REPO].names = names
    go()
    assert not [path for path in models.parent.rglob("*") if "evil" in path.name]


def test_a_gated_repository_needs_its_licence(go: Pull, models: Path, hub: HubServer) -> None:
    hub.repos[REPO].gated = True
    with pytest.raises(errors.RepoGated, match=rf"accept its licence. Do so on {hub.url}/{REPO}, then set HF_TOKEN"):
        go()
    assert not (models / "tiny").exists()


def test_the_token_goes_to_the_hub_alone(go: Pull, hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.repos[REPO].gated = True
    monkeypatch.setenv("HF_TOKEN", "hf_other")
    with pytest.raises(errors.RepoGated):
        go()
    monkeypatch.setenv("HF_TOKEN", "hf_accepted")
    go()
    assert "Bearer hf_accepted" in hub.tokens["hub"] and hub.tokens["store"] == {None}


@pytest.mark.parametrize(
    ("repo", "revision", "error", "says"),
    [
        ("OpenVINO/Nothing", None, errors.RepoUnknown, "There is no model 'OpenVINO/Nothing' on http.*HF_TOKEN"),
        (REPO, "v9", errors.RevisionUnknown, "no revision 'v9'"),
        ("a/b/c", None, errors.UsageError, "'a/b/c' is no repository's name"),
        ("../etc", None, errors.UsageError, "'../etc' is no repository's name"),
    ],
)
def test_what_is_not_there(go: Pull, models: Path, repo: str, revision: str, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        go(repo, revision)
    assert not models.exists()


def test_a_repository_without_a_build_is_refused_before_anything_is_fetched(
    go: Pull, models: Path, hub: HubServer, tmp_path: Path
) -> None:
    (tmp_path / "repo").mkdir()
    (tmp_path / "repo" / "config.json").write_text("{}")
    hub.add("OpenGVLab/Plain", tmp_path / "repo")
    with pytest.raises(errors.NoReadyBuild, match=r"has no openvino_language_model.xml. .* convert OpenGVLab/Plain"):
        go("OpenGVLab/Plain")
    assert not hub.served and not models.exists()


def test_half_a_build_is_seen_before_anything_is_fetched(
    go: Pull, models: Path, hub: HubServer, build: Path, tmp_path: Path
) -> None:
    half = Path(shutil.copytree(build, tmp_path / "half"))
    (half / "openvino_tokenizer.bin").unlink()
    hub.add("OpenVINO/Half", half)
    with pytest.raises(errors.BuildIncomplete, match=r"OpenVINO/Half is not whole: openvino_tokenizer.bin is missing"):
        go("OpenVINO/Half")
    assert not hub.served and not models.exists()


def test_what_only_its_family_needs_is_missed_when_it_is_here(
    go: Pull, models: Path, hub: HubServer, tmp_path: Path
) -> None:
    half = make("minicpmv", tmp_path / "half")
    (half / "openvino_resampler_model.bin").unlink()
    hub.add("OpenVINO/Half", half)
    with pytest.raises(errors.ModelBroken, match=r"openvino_resampler_model.bin is missing"):
        go("OpenVINO/Half")
    assert not (models / "tiny").exists()


@pytest.mark.parametrize("status", [500, 503])
def test_a_hub_that_fails(go: Pull, models: Path, hub: HubServer, status: int) -> None:
    hub.down = status
    with pytest.raises(errors.HubFailed, match=f"failed: it answered {status}. .*again later"):
        go()
    assert not models.exists()


def test_a_hub_that_refuses(go: Pull, hub: HubServer) -> None:
    hub.down = 403
    with pytest.raises(errors.HubRefused, match="whether the token is still valid"):
        go()


def test_no_network(models: Path, hub: HubServer) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        place = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        for url in (place, "http://hub.invalid"):
            with pytest.raises(errors.HubUnreachable, match="Look at the network"):
                pull(models, Hub(url), Wanted(name="tiny", repo=REPO), lambda done, total: None)


def test_an_address_that_is_no_hub(go: Pull, hub: HubServer) -> None:
    hub.down = 200
    with pytest.raises(errors.HubFailed, match="does not answer as a hub does"):
        go()


def test_a_disk_that_is_too_small(go: Pull, models: Path, hub: HubServer) -> None:
    hub.repos[REPO].sizes[WEIGHTS] = 10**16
    with pytest.raises(errors.DiskTooSmall, match=r"takes 10,000 TB more .* where .*B are free"):
        go()
    assert not hub.served and not (models / "tiny").exists()


def test_a_disk_that_fills_up(go: Pull, models: Path) -> None:
    def full(done: int, total: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(errors.DiskFull):
        go(tell=full)
    go()


def test_another_maker_is_waited_for_by_nobody(go: Pull, models: Path) -> None:
    with pytest.raises(errors.ModelBusy), staged(models, "tiny", needs=1):
        go()


@pytest.mark.parametrize(
    ("what", "weight_format", "name", "repo"),
    [
        ("internvl2-1b", None, "internvl2-1b", "OpenVINO/InternVL2-1B-int4-ov"),
        ("internvl2-1b", "int8", "internvl2-1b-int8", "OpenVINO/InternVL2-1B-int8-ov"),
        ("OpenVINO/InternVL2-1B-fp16-ov", None, "InternVL2-1B-fp16-ov", "OpenVINO/InternVL2-1B-fp16-ov"),
    ],
)
def test_what_a_person_means(what: str, weight_format: str | None, name: str, repo: str) -> None:
    meant = wanted(what, revision="v1", name=None, weight_format=weight_format)
    assert meant == Wanted(name=name, repo=repo, revision="v1")
    assert wanted(what, revision=None, name="mine", weight_format=weight_format).name == "mine"


@pytest.mark.parametrize(
    ("what", "options", "says"),
    [
        ("qwen2-vl-2b", {}, "no ready OpenVINO build of qwen2-vl-2b .*convert Qwen/Qwen2-VL-2B-Instruct"),
        ("internvl-1b", {}, "no model 'internvl-1b' in the catalogue, did you mean 'internvl2-1b'"),
        ("nonsense", {}, r"no model 'nonsense' in the catalogue. It has: internvl2-1b, .*ORG/NAME"),
        (REPO, {"weight_format": "int8"}, "chooses among the builds of a catalogue's model"),
        (REPO, {"name": "../up"}, "'../up' cannot be a model's name"),
    ],
)
def test_what_nobody_can_mean(what: str, options: dict[str, str], says: str) -> None:
    with pytest.raises(errors.PixmillError, match=says):
        wanted(what, **{"revision": None, "name": None, "weight_format": None, **options})
