"""Throttling: what counts as one account, one network, one caller."""

import pytest

from permit.security.secret_formats import MalformedSecret
from permit.security.throttling import network, parse_throttle_key, throttle_keys

SECRET = bytes(32)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("198.51.100.7", "198.51.100.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:DB8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:198.51.100.7", "198.51.100.7"),
        ("", "unknown"),
        ("elsewhere", "unknown"),
    ],
)
def test_a_network_is_an_ipv4_address_or_an_ipv6_64(address: str, expected: str) -> None:
    """An IPv6 customer has a /64, an IPv4 one an address; a mapped address is IPv4."""
    assert expected == network(address)


def test_the_keys_depend_on_what_they_name() -> None:
    """Another address leaves the account's key, another account the address's key."""
    first = throttle_keys(SECRET, account="a@example.com", address="198.51.100.7")
    elsewhere = throttle_keys(SECRET, account="a@example.com", address="198.51.100.8")
    other = throttle_keys(SECRET, account="b@example.com", address="198.51.100.7")

    assert first.account == elsewhere.account != other.account
    assert first.address == other.address != elsewhere.address
    assert len({first.pair, elsewhere.pair, other.pair}) == 3
    assert len({first.pair, first.account, first.address}) == 3


def test_the_case_of_an_email_is_no_way_round() -> None:
    """One account, however its email is typed."""
    first, second = (
        throttle_keys(SECRET, account=email, address="198.51.100.7")
        for email in ("Some.One@Example.com", " some.one@example.COM ")
    )
    assert first == second


def test_no_two_accounts_and_addresses_read_the_same() -> None:
    """Moving a symbol from one field to the next gives another key."""
    first = throttle_keys(SECRET, account="a\0b", address="198.51.100.7")
    second = throttle_keys(SECRET, account="a", address="b\0198.51.100.7")
    assert first.pair != second.pair


def test_the_keys_need_the_secret() -> None:
    """Another secret gives other keys."""
    first, second = (
        throttle_keys(secret, account="a", address="198.51.100.7")
        for secret in (SECRET, bytes([1] * 32))
    )
    assert not {first.pair, first.account, first.address} & {
        second.pair,
        second.account,
        second.address,
    }


def test_the_secret_is_64_hexadecimal_digits() -> None:
    """The throttle key's text is 32 bytes in hexadecimal, and nothing else."""
    assert parse_throttle_key("ab" * 32) == b"\xab" * 32
    for text in ("", "ab" * 31, "xy" * 32, "ab " * 32):
        with pytest.raises(MalformedSecret, match="throttle key"):
            parse_throttle_key(text)
