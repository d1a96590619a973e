"""What may be fetched: nothing, until somebody allows a domain."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

from pipeline.errors import ForbiddenUrl
from pipeline.remote.addresses import why_private
from pipeline.remote.urls import OBJECT_STORES, Url, parse
from pipeline.settings import Settings


@dataclass(frozen=True, slots=True)
class Policy:
    """Which hosts and buckets are allowed, and whether they may lie in private networks."""

    domains: frozenset[str] = frozenset()
    allow_private: bool = False

    @classmethod
    def of(cls, settings: Settings) -> Self:
        return cls(frozenset(settings.allowed_domains), settings.allow_private)

    def check(self, url: str) -> None:
        """Raise ForbiddenUrl, which says what to do, unless the address may be stored with a job and fetched."""
        parsed = parse(url)
        if secret := parsed.secret:
            raise ForbiddenUrl(
                why=f"its {secret!r} looks like a signature or a token, which would be stored with the job. "
                "Name the picture as s3://BUCKET/KEY with credentials in the environment, "
                "or fetch it into a folder first"
            )
        self.admit(parsed)

    def admit(self, url: Url) -> None:
        """Raise ForbiddenUrl unless this may be fetched, be it named by a person or by a server that redirects."""
        if not self.domains.intersection(_entries(url)):
            raise ForbiddenUrl(why=_advice(url))
        if url.ip is not None:
            self.check_addresses(url.host, [str(url.ip)])

    def check_addresses(self, host: str, addresses: Sequence[str]) -> None:
        """Raise ForbiddenUrl if any of the addresses that a host has now is not in the open network."""
        if self.allow_private:
            return
        for address in addresses:
            if why := why_private(address):
                named = host if host == address else f"{host} ({address})"
                raise ForbiddenUrl(why=f"{named} is {why}; --allow-private (PIXMILL_ALLOW_PRIVATE) allows that")


def _entries(url: Url) -> Iterator[str]:
    """Every way in which it may have been allowed."""
    if url.scheme in OBJECT_STORES:
        yield f"{url.scheme}://{url.host}"
        return
    parts = url.host.split(".")
    for name in (url.host, *(f".{'.'.join(parts[start:])}" for start in range(1, len(parts)))):
        yield f"http://{name}"
        if url.scheme == "https":
            yield name


def _advice(url: Url) -> str:
    entry = url.host if url.scheme == "https" else f"{url.scheme}://{url.host}"
    return f"{entry} is not among the allowed domains; --allow-domain {entry} (PIXMILL_ALLOWED_DOMAINS) adds it"
