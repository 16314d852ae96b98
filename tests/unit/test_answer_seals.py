"""The seal of an answer rests on the caller's key and on one of the server, never on one alone."""

import hashlib
from uuid import UUID

import pytest
from cryptography.exceptions import InvalidTag

from permit.security.answer_seals import AnswerSeal, parse_answer_keys, seals_of
from permit.security.secret_formats import MalformedSecret

TENANT = UUID("11111111-1111-4111-8111-111111111111")
OTHER_TENANT = UUID("22222222-2222-4222-8222-222222222222")
OLD, NEW = b"\x01" * 32, b"\x02" * 32
LONG = "order-2026-0042-line-0001"


def seal(server_key: bytes = NEW, tenant: UUID = TENANT, caller_key: str = "1") -> AnswerSeal:
    return AnswerSeal.derive(server_key, tenant_id=tenant, caller_key=caller_key)


def test_the_same_request_opens_it() -> None:
    """Made anew from the same three."""
    sealed = seal().seal(b"the first answer")

    assert b"the first answer" == seal().open(sealed)
    assert b"first" not in sealed
    assert sealed != seal().seal(b"the first answer")


@pytest.mark.parametrize(
    "other",
    [seal(OLD), seal(tenant=OTHER_TENANT), seal(caller_key="2"), AnswerSeal.previous("1")],
    ids=["another key of the server", "another tenant", "another key", "the caller's key alone"],
)
def test_nothing_else_opens_it(other: AnswerSeal) -> None:
    """And each has a name of its own."""
    sealed = seal().seal(b"the first answer")

    assert other.name != seal().name
    with pytest.raises(InvalidTag):
        other.open(sealed)


def test_a_short_key_cannot_be_tried_out() -> None:
    """No name that is kept comes from the caller's key alone."""
    names = [each.name for each in seals_of((NEW, OLD), tenant_id=TENANT, caller_key="1")]

    assert [seal(NEW).name, seal(OLD).name] == names
    assert hashlib.sha256(b"1").digest() not in names


def test_what_the_release_before_takes_has_its_name_too() -> None:
    """It takes 22 to 128 characters; its seal is the last, so nothing new is sealed by it."""
    lengths = [
        length
        for length in range(1, 256)
        if len(seals_of((NEW,), tenant_id=TENANT, caller_key="k" * length)) == 2
    ]
    first, last = seals_of((NEW,), tenant_id=TENANT, caller_key=LONG)

    assert [*range(22, 129)] == lengths
    assert (seal(caller_key=LONG).name, hashlib.sha256(LONG.encode()).digest()) == (
        first.name,
        last.name,
    )


def test_the_release_before_is_understood() -> None:
    """An answer that it has sealed, recorded at commit 3264bfc."""
    sealed = bytes.fromhex(
        "000102030405060708090a0b"
        "048b9cb97ed19a6d9073274ee24f09790d7e8c5af1aba11c79967aad9413b7eb"
        "376b05bdd7d88efcc50aaf36c2"
    )

    assert b'{"status": 201, "body": "{}"}' == AnswerSeal.previous(LONG).open(sealed)


def test_keys_are_read() -> None:
    """One or several, each 64 hexadecimal digits."""
    assert (NEW,) == parse_answer_keys("02" * 32)
    assert (NEW, OLD) == parse_answer_keys(f"{'02' * 32} {'01' * 32}\n")
    for text in ("", " ", "02" * 31, f"{'02' * 32},{'01' * 32}", "hunter2"):
        with pytest.raises(MalformedSecret, match="answer key"):
            parse_answer_keys(text)


def test_no_key_is_shown() -> None:
    """Neither of a seal nor of what is wrong with a secret."""
    assert "_key" not in repr(seal())
    with pytest.raises(MalformedSecret) as refused:
        parse_answer_keys("hunter2")
    assert "hunter2" not in str(refused.value)
