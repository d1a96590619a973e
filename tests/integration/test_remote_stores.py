"""Object stores: `s3://` against moto's S3 server on loopback."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from moto.server import ThreadedMotoServer

from pipeline.errors import FetchFailed, ForbiddenUrl, ImageMissing, ImageTooLarge
from pipeline.remote import stores
from pipeline.remote.cache import Cache, Kept
from pipeline.remote.fetcher import Fetcher, FetchLimits
from pipeline.remote.policy import Policy
from pipeline.remote.stores import Stores
from pipeline.settings import read_settings
from pipeline.sources.filters import Filters
from pipeline.sources.given import Given
from pipeline.sources.rows import BadRow

MOST = 10 << 20


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """An empty bucket, of which the environment tells."""
    told = {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "someone",
        "AWS_SECRET_ACCESS_KEY": "hunter2",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "HTTP_PROXY": "http://127.0.0.1:1",
    }
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    forget()
    client = boto3.client("s3", config=Config(proxies={}))
    client.create_bucket(Bucket="pictures")
    yield client
    for found in client.list_objects_v2(Bucket="pictures").get("Contents", []):
        client.delete_object(Bucket="pictures", Key=found["Key"])
    client.close()
    forget()


def forget() -> None:
    """The next file system is made of the environment as it is then."""
    import s3fs

    stores.system.cache_clear()
    s3fs.S3FileSystem.clear_instance_cache()


@pytest.fixture
def some(tmp_path: Path) -> Iterator[Fetcher]:
    policy = Policy(frozenset({"s3://pictures", "s3://nowhere", "gs://pictures"}))
    limits = FetchLimits(policy=policy, folder=tmp_path, cache_bytes=10 * MOST, max_bytes=MOST, seconds=20.0)
    ages = iter(range(0, 1 << 40, 1000))
    cache = Cache(tmp_path, limits.cache_bytes, lambda: float(next(ages)))
    no_web = Stores()
    made = Fetcher(limits, cache, no_web, Stores(), jitter=lambda: -0.5)
    yield made
    made.close()


def contents(kept: Kept) -> bytes:
    with kept:
        return kept.path.read_bytes()


@pytest.mark.parametrize("key", ["a.jpg", "below/a b/ü?.jpg", "100%.jpg", "a+b.jpg", "a%20b.jpg"])
def test_a_key_is_taken_as_it_is(bucket: Any, some: Fetcher, key: str) -> None:
    bucket.put_object(Bucket="pictures", Key=key, Body=b"bytes")
    assert contents(some.fetch(f"s3://pictures/{key}")) == b"bytes"


def test_what_has_not_changed_is_not_sent_again(bucket: Any, some: Fetcher, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket.put_object(Bucket="pictures", Key="a.jpg", Body=b"old")
    assert contents(some.fetch("s3://pictures/a.jpg")) == b"old"
    with monkeypatch.context() as patched:
        patched.setattr(stores, "_pieces", lambda file, waiting: pytest.fail("it was sent again"))
        assert contents(some.fetch("s3://pictures/a.jpg")) == b"old"
    bucket.put_object(Bucket="pictures", Key="a.jpg", Body=b"new")
    assert contents(some.fetch("s3://pictures/a.jpg")) == b"new"


def test_a_large_object_comes_in_pieces_and_a_larger_one_not_at_all(bucket: Any, some: Fetcher) -> None:
    body = bytes(range(256)) * (MOST // 256)
    bucket.put_object(Bucket="pictures", Key="large", Body=body)
    assert contents(some.fetch("s3://pictures/large")) == body
    bucket.put_object(Bucket="pictures", Key="larger", Body=body + b"!")
    with pytest.raises(ImageTooLarge, match="10,485,761 bytes"):
        some.fetch("s3://pictures/larger")


@pytest.mark.parametrize("url", ["s3://pictures/none.jpg", "s3://pictures/below", "s3://nowhere/a.jpg"])
def test_what_is_not_there_is_missing(bucket: Any, some: Fetcher, url: str) -> None:
    bucket.put_object(Bucket="pictures", Key="below/a.jpg", Body=b"bytes")
    with pytest.raises(ImageMissing):
        some.fetch(url)


def test_other_buckets_are_not_asked(some: Fetcher) -> None:
    with pytest.raises(ForbiddenUrl, match="--allow-domain s3://other"):
        some.fetch("s3://other/a.jpg")


def test_a_store_whose_package_is_missing_says_so(some: Fetcher) -> None:
    with pytest.raises(FetchFailed, match=r"gs:// needs packages .*: .* install fsspec gcsfs"):
        some.fetch("gs://pictures/a.jpg")


def test_a_store_that_refuses_tells_no_secret(bucket: Any, some: Fetcher, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*args: object, **named: object) -> None:
        raise PermissionError("Access Denied https://store/a?X-Amz-Signature=hunter2")

    monkeypatch.setattr("s3fs.S3FileSystem.info", refused)
    with pytest.raises(FetchFailed, match="the store refuses it") as caught:
        some.fetch("s3://pictures/a.jpg")
    assert "hunter2" not in str(caught.value)


# --- prefixes ------------------------------------------------------------------------------------


def named(*addresses: str, recursive: bool = False, **filters: Any) -> tuple[list[str], list[str]]:
    """What becomes of addresses on the command line: the locators or complaints of the rows, and the notes."""
    settings = read_settings({"allowed_domains": ("s3://pictures", "s3://nowhere")}, environ={})
    notes: list[str] = []
    given = Given(settings=settings, filters=Filters(**filters), recursive=recursive, note=notes.append)
    rows = [row.message if isinstance(row, BadRow) else row.pictures[0].locator for row in given.rows(addresses)]
    return rows, notes


def test_a_prefix_is_looked_through_like_a_folder(bucket: Any) -> None:
    for key in ("b.jpg", "a #1?.PNG", "notes.txt", "below/c.jpg", "below/deep/d.jpg", "other/e.jpg"):
        bucket.put_object(Bucket="pictures", Key=key, Body=b"bytes")
    bucket.put_object(Bucket="pictures", Key="below/", Body=b"")
    top = ["s3://pictures/a #1?.PNG", "s3://pictures/b.jpg"]
    deep = ["s3://pictures/below/c.jpg", "s3://pictures/below/deep/d.jpg"]
    assert named("s3://pictures/") == (top, [])
    assert named("s3://pictures/", recursive=True) == ([*top, *deep, "s3://pictures/other/e.jpg"], [])
    assert named("s3://pictures/below/", recursive=True) == (deep, [])
    assert named("s3://pictures/", recursive=True, exclude=("other/*", "*.PNG"), min_size=5)[0] == [top[1], *deep]


def test_a_prefix_without_pictures_says_why(bucket: Any) -> None:
    for key in ("notes.txt", "b.jpg", "large.jpg"):
        bucket.put_object(Bucket="pictures", Key=f"some/{key}", Body=bytes(len(key)))
    rows, notes = named("s3://pictures/some/", exclude=("b*",), max_size=6)
    assert rows == [] and notes[0].startswith("s3://pictures/some/: no pictures (1 other file; 1 picture left out by")


def test_a_prefix_that_cannot_be_looked_through_is_a_row(bucket: Any) -> None:
    rows, notes = named("s3://nowhere/", "s3://other/", "s3://pictures/none/")
    assert rows[0] == "s3://nowhere/: there is no such file"
    assert "--allow-domain s3://other" in rows[1]
    assert rows[2] == "s3://pictures/none/: there is no such file" and notes == []
