from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import ForbiddenUrl
from pipeline.remote.addresses import why_private
from pipeline.remote.policy import Policy
from pipeline.remote.urls import allowed, parse
from pipeline.settings import read_settings


def policy(*domains: str, private: bool = False) -> Policy:
    return Policy(frozenset(map(allowed, domains)), private)


PRIVATE = (
    "127.0.0.1", "127.255.255.254", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254",
    "100.64.0.1", "100.100.100.200", "168.63.129.16", "192.0.0.1", "198.18.0.1", "224.0.0.1", "240.0.0.1",
    "255.255.255.255", "192.0.2.1",
)  # fmt: skip
PRIVATE_SIX = (
    "::1", "::", "fe80::1", "fec0::1", "fc00::1", "fd00:ec2::254", "ff02::1", "2001:db8::1", "64:ff9b:1::1",
    "100::1", "fe80::1%eth0", "4000::1",
)  # fmt: skip
OPEN = ("8.8.8.8", "1.1.1.1", "93.184.216.34", "2606:4700:4700::1111", "2a00:1450:4001:81b::200e")


@pytest.mark.parametrize("address", [*PRIVATE, *PRIVATE_SIX])
def test_addresses_that_lead_inside(address: str) -> None:
    assert why_private(address)


@pytest.mark.parametrize("address", OPEN)
def test_addresses_of_the_open_network(address: str) -> None:
    assert why_private(address) is None


def wrapped(four: IPv4Address) -> list[IPv6Address]:
    """The forms in which an IPv6 address may stand for an IPv4 address."""
    bits = int(four)
    return [
        IPv6Address(0xFFFF << 32 | bits),
        IPv6Address(0x2002 << 112 | bits << 80 | 1),
        IPv6Address((0x64FF9B << 96) | bits),
        IPv6Address(0x20010000 << 96 | 0x08080808 << 64 | (bits ^ 0xFFFFFFFF)),
        IPv6Address(0x20010000 << 96 | bits << 64 | (0x08080808 ^ 0xFFFFFFFF)),
    ]


@pytest.mark.parametrize("address", PRIVATE)
def test_a_private_address_in_disguise(address: str) -> None:
    for form in wrapped(IPv4Address(address)):
        assert why_private(str(form)), form


@pytest.mark.parametrize("address", OPEN[:3])
def test_an_open_address_in_disguise(address: str) -> None:
    for form in wrapped(IPv4Address(address)):
        assert why_private(str(form)) is None, form


@given(st.sampled_from(["10.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16"]), st.data())
def test_no_address_of_a_private_network_passes_in_any_form(network: str, data: st.DataObject) -> None:
    net = IPv4Network(network)
    four = IPv4Address(data.draw(st.integers(int(net[0]), int(net[-1]))))
    assert why_private(str(four))
    assert all(why_private(str(form)) for form in wrapped(four))


@given(st.ip_addresses(v=6))
def test_what_passes_was_given_out(ip: IPv6Address) -> None:
    if why_private(str(ip)) is None:
        outside = ("::/3", "fc00::/7", "fe80::/10", "ff00::/8")
        assert ip.ipv4_mapped or not any(ip in IPv6Network(net) for net in outside) or ip in IPv6Network("64:ff9b::/96")


# --- what may be named ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("domain", "url"),
    [
        ("example.org", "https://example.org/a.jpg"),
        ("example.org", "https://EXAMPLE.org.:8443/a.jpg"),
        (".example.org", "https://a.example.org/"),
        (".example.org", "https://a.b.example.org/"),
        ("http://example.org", "http://example.org/"),
        ("http://example.org", "https://example.org/"),
        ("http://.example.org", "http://a.example.org/"),
        ("s3://bucket", "s3://bucket/a/b.jpg"),
    ],
)
def test_what_is_allowed_passes(domain: str, url: str) -> None:
    policy(domain).check(url)
    with pytest.raises(ForbiddenUrl, match="--allow-domain"):
        policy().check(url)


@pytest.mark.parametrize(
    ("domain", "url", "advice"),
    [
        ("example.org", "https://a.example.org/", "--allow-domain a.example.org "),
        ("example.org", "https://example.org.evil.net/", "--allow-domain example.org.evil.net "),
        ("example.org", "https://notexample.org/", "--allow-domain notexample.org "),
        (".example.org", "https://example.org/", "--allow-domain example.org "),
        (".example.org", "https://notexample.org/", "--allow-domain notexample.org "),
        ("example.org", "http://example.org/", "--allow-domain http://example.org "),
        ("s3://bucket", "s3://other/a", "--allow-domain s3://other "),
        ("s3://bucket", "https://bucket/a", "--allow-domain bucket "),
        ("bucket", "s3://bucket/a", "--allow-domain s3://bucket "),
    ],
)
def test_all_else_is_refused_with_what_allows_it(domain: str, url: str, advice: str) -> None:
    with pytest.raises(ForbiddenUrl) as caught:
        policy(domain).check(url)
    assert advice in str(caught.value) and "PIXMILL_ALLOWED_DOMAINS" in str(caught.value)
    policy(advice.split()[1]).check(url)


@pytest.mark.parametrize("url", ["https://127.0.0.1/", "https://[::1]/", "https://[::ffff:10.0.0.1]/"])
def test_a_private_address_needs_a_word_of_its_own(url: str) -> None:
    host = parse(url).host
    with pytest.raises(ForbiddenUrl, match="--allow-private"):
        policy(host).check(url)
    policy(host, private=True).check(url)


def test_a_name_is_refused_when_one_of_its_addresses_is_private() -> None:
    with pytest.raises(ForbiddenUrl, match=r"example.org \(10\.0\.0\.1\) is a private address"):
        policy().check_addresses("example.org", ["8.8.8.8", "10.0.0.1"])
    policy(private=True).check_addresses("example.org", ["10.0.0.1"])


def test_what_would_be_stored_must_not_give_access() -> None:
    allowing = policy("example.org")
    with pytest.raises(ForbiddenUrl, match="fetch it into a folder first") as caught:
        allowing.check("https://example.org/a?X-Amz-Signature=hunter2")
    assert "hunter2" not in str(caught.value)
    with pytest.raises(ForbiddenUrl, match="credentials in the environment") as caught:
        allowing.check("https://me:hunter2@example.org/a")
    assert "hunter2" not in str(caught.value)
    allowing.admit(parse("https://example.org/a?X-Amz-Signature=hunter2"))  # of a redirect, which is stored nowhere


def test_the_settings_say_what_is_allowed() -> None:
    settings = read_settings({"allowed_domains": ("Example.org", "s3://bucket"), "allow_private": True}, environ={})
    assert Policy.of(settings) == policy("example.org", "s3://bucket", private=True)
    assert Policy.of(read_settings(environ={})) == Policy()
