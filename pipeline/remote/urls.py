"""An address taken apart strictly: what two programs might read differently is refused."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from urllib.parse import quote, unquote

from pipeline.errors import ForbiddenUrl

WEB = {"https": 443, "http": 80}
"""scheme -> its port"""
OBJECT_STORES = {"s3": "s3fs", "gs": "gcsfs", "az": "adlfs"}
"""scheme -> the package through which fsspec opens it"""

_URL = re.compile(r"([a-z][a-z0-9+.-]*)://([^/?#]*)([^#]*)(#.*)?", re.IGNORECASE | re.DOTALL)
_IN_BRACKETS = re.compile(r"\[([0-9a-f:.]+)\](?::([0-9]{1,5}))?", re.IGNORECASE)
_NAMED = re.compile(r"([a-z0-9._-]+)(?::([0-9]{1,5}))?", re.IGNORECASE | re.ASCII)
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,253}[a-z0-9]", re.IGNORECASE)
_LONGEST_NAME = 253
_SAFE = "%/?!$&'()*+,-.:;=@_~[]|"
"""what a request keeps as it was written"""

_SECRETS = {
    "sig", "sign", "auth", "authorization", "jwt", "sid", "pwd", "pass", "apikey", "api_key", "api-key",
    "x-amz-credential", "x-goog-credential", "key-pair-id", "hdnea", "hdnts", "jsessionid", "phpsessid",
}  # fmt: skip
_SECRET_PARTS = ("signature", "token", "secret", "password", "passwd", "credential", "apikey", "api_key")
_USER = re.compile(r"(://)[^\s\"]*@")  # up to the last @: a password may hold one, and a slash, if it should not
_QUERY = re.compile(r"(://[^?;#\"]*)[?;][^#\"]*")
_PARAMETER = re.compile(r"[?&;]([^=&;?]+)=")


@dataclass(frozen=True, slots=True)
class Url:
    """An address that everybody reads alike. Of an object store, `host` is the bucket."""

    scheme: str
    host: str
    port: int | None
    path: str
    """all that follows the host, as it is sent"""
    ip: IPv4Address | IPv6Address | None = None
    """the host, when it is no name"""

    def __str__(self) -> str:
        return f"{self.scheme}://{self.netloc}{self.path}"

    @property
    def netloc(self) -> str:
        host = f"[{self.host}]" if isinstance(self.ip, IPv6Address) else self.host
        return host if self.port is None else f"{host}:{self.port}"

    @property
    def secret(self) -> str | None:
        """The name of a parameter that gives access to whoever holds the address."""
        names = (unquote(name).strip() for name in _PARAMETER.findall(self.path))
        return next((name for name in names if _is_secret(name.lower())), None)


def is_remote(locator: str) -> bool:
    """Whether what it names must be fetched."""
    scheme, separator, _ = locator.partition("://")
    return bool(separator) and (scheme in WEB or scheme in OBJECT_STORES)


def is_prefix(address: str) -> bool:
    """Whether it names all that lies below, and not one picture."""
    return address.endswith("/") and address.partition("://")[0] in OBJECT_STORES


def parse(text: str) -> Url:
    """The address's parts. Raises ForbiddenUrl for what is no address of a picture, or could be read in two ways."""
    found = _URL.fullmatch(text)
    if found is None or not text.isprintable() or "\\" in text or text != text.strip():
        raise ForbiddenUrl(why="it holds characters that an address must not have, or is none")
    scheme, authority, path, fragment = found[1].lower(), found[2], found[3], found[4]
    if "@" in authority:
        raise ForbiddenUrl(why=_USERINFO)
    if scheme in OBJECT_STORES:
        return _of_store(scheme, authority, path + (fragment or ""))
    if fragment:
        raise ForbiddenUrl(why="a # that belongs to a name is written %23; members are read only of archives in files")
    if scheme in WEB:
        return _of_web(scheme, authority, path)
    known = ", ".join(f"{name}://" for name in (*WEB, *OBJECT_STORES))
    raise ForbiddenUrl(why=f"{scheme}:// is not fetched; these are: {known}")


_USERINFO = (
    "a user or password in it would be stored with the job. Leave it out; where pictures need a login, "
    "name them as s3://BUCKET/KEY with credentials in the environment, or fetch them into a folder first"
)


def told(text: str) -> str:
    """A text as it may be told and kept: its addresses without what could give access."""
    return _QUERY.sub(r"\1?***", _USER.sub(r"\1***@", text))


def allowed(text: str) -> str:
    """An entry of the allowed domains in its one spelling. Raises ForbiddenUrl if it can name none.

    `example.org`, `.example.org` (all below it), `http://example.org` (also unencrypted), `s3://bucket`.
    """
    before, separator, rest = text.strip().rpartition("://")
    scheme = before.lower() if separator else "https"
    if scheme in OBJECT_STORES:
        return str(_of_store(scheme, rest.removesuffix("/"), "")).removesuffix("/")
    if scheme not in WEB:
        raise ForbiddenUrl(why=f"{scheme}:// is not fetched")
    name = rest.removesuffix("/").removeprefix("*")
    host, ip, port = _host(f"[{name}]" if name.count(":") > 1 and "[" not in name else name.removeprefix("."))
    if port is not None or (ip and name.startswith(".")):
        raise ForbiddenUrl(why="a host is meant, such as example.org, or .example.org for all below it")
    return f"{'http://' if scheme == 'http' else ''}{'.' if name.startswith('.') else ''}{host}"


def _of_web(scheme: str, authority: str, path: str) -> Url:
    host, ip, port = _host(authority)
    sent = quote(path if path.startswith("/") else f"/{path}", safe=_SAFE)
    return Url(scheme, host, None if port == WEB[scheme] else port, sent, ip)


def _of_store(scheme: str, bucket: str, path: str) -> Url:
    if not _BUCKET.fullmatch(bucket):
        raise ForbiddenUrl(why=f"it is written {scheme}://BUCKET/KEY")
    return Url(scheme, bucket, None, path or "/")


def _host(authority: str) -> tuple[str, IPv4Address | IPv6Address | None, int | None]:
    if found := _IN_BRACKETS.fullmatch(authority):
        ip = _ip(IPv6Address, found[1])
        return str(ip), ip, _port(found[2])
    found = _NAMED.fullmatch(authority)
    if found is None:
        hint = "" if authority.isascii() else "; a name in other letters is written in its xn-- form"
        raise ForbiddenUrl(why=f"its host is not written plainly{hint}")
    name = found[1].lower().removesuffix(".")
    labels = name.split(".")
    if _NUMBER.fullmatch(labels[-1]):  # as browsers decide: 2130706433, 0x7f.1 and 127.1 are loopback to some
        four = _ip(IPv4Address, name)
        return str(four), four, _port(found[2])
    if len(name) > _LONGEST_NAME or not all(_LABEL.fullmatch(label) for label in labels):
        raise ForbiddenUrl(why="its host is no name of a machine")
    return name, None, _port(found[2])


def _ip(kind: type[IPv4Address] | type[IPv6Address], text: str) -> IPv4Address | IPv6Address:
    try:
        return kind(text)
    except ValueError:
        raise ForbiddenUrl(why="its host is a number that is written oddly; write it as 203.0.113.7") from None


def _port(text: str | None) -> int | None:
    if text is None:
        return None
    if not 0 < int(text) < 1 << 16:
        raise ForbiddenUrl(why=f"there is no port {text}")
    return int(text)


def _is_secret(name: str) -> bool:
    return name in _SECRETS or any(part in name for part in _SECRET_PARTS)
