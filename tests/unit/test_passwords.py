"""Passwords: what verifies, what never does, and what may be chosen."""

import unicodedata
from typing import Any

import argon2
import bcrypt
import pytest
from argon2 import PasswordHasher

from permit.security import passwords
from permit.security.passwords import UnacceptablePassword, WrongPassword

PASSWORD = "a long enough password"


@pytest.fixture(scope="module")
def argon2_hash() -> str:
    return passwords.hash(PASSWORD)


@pytest.fixture(scope="module")
def bcrypt_hash() -> str:
    return bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()


def test_the_right_password_verifies(argon2_hash: str) -> None:
    """A hash verifies with its password and is up to date."""
    assert passwords.verify(argon2_hash, PASSWORD) is True
    assert not passwords.check_needs_rehash(argon2_hash)


@pytest.mark.parametrize(
    "other", ["", "another password", PASSWORD.upper(), PASSWORD + "\0", "\ud800"]
)
def test_another_password_is_wrong(argon2_hash: str, bcrypt_hash: str, other: str) -> None:
    """Another password raises WrongPassword for both kinds of hash."""
    with pytest.raises(WrongPassword):
        passwords.verify(argon2_hash, other)
    with pytest.raises(WrongPassword):
        passwords.verify(bcrypt_hash, other)


def test_the_parameters_are_owasps(argon2_hash: str) -> None:
    """A new hash is Argon2id with 19 MiB, two passes and one lane."""
    assert argon2_hash.startswith("$argon2id$v=19$m=19456,t=2,p=1$")


def test_a_weaker_argon2_hash_verifies_and_is_replaced() -> None:
    """A hash with other parameters still verifies, and asks to be replaced."""
    weak = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)

    assert passwords.verify(weak, PASSWORD) is True
    assert passwords.check_needs_rehash(weak)


@pytest.mark.parametrize("prefix", ["$2a$", "$2b$", "$2y$"])
def test_bcrypt_verifies_and_is_replaced(bcrypt_hash: str, prefix: str) -> None:
    """All three bcrypt prefixes verify, and ask to be replaced."""
    imported = prefix + bcrypt_hash[4:]

    assert passwords.is_bcrypt(imported)
    assert passwords.verify(imported, PASSWORD) is True
    assert passwords.check_needs_rehash(imported)


def test_bcrypt_refuses_more_than_72_bytes() -> None:
    """A password that bcrypt would cut is wrong, not cut."""
    stored = bcrypt.hashpw(b"a" * 72, bcrypt.gensalt(4)).decode()

    assert passwords.verify(stored, "a" * 72) is True
    for longer in ("a" * 73, "a" * 71 + "é"):
        with pytest.raises(WrongPassword):
            passwords.verify(stored, longer)


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_both_ways_to_write_an_accent_are_one_password(form: str) -> None:
    """A password typed decomposed fits the hash of the composed one, and the other way round."""
    other = {"NFC": "NFD", "NFD": "NFC"}[form]
    stored = passwords.hash(unicodedata.normalize(form, "crème brûlée, s'il vous plaît"))

    assert passwords.verify(stored, unicodedata.normalize(other, "crème brûlée, s'il vous plaît"))


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_an_imported_hash_sees_the_password_as_typed(form: str) -> None:
    """bcrypt accepts what its own system hashed, composed or not."""
    typed = unicodedata.normalize("NFD", "pâté")
    stored = bcrypt.hashpw(unicodedata.normalize(form, typed).encode(), bcrypt.gensalt(4)).decode()

    assert passwords.verify(stored, typed) is True


@pytest.mark.parametrize(
    "stored",
    [
        pytest.param("", id="empty"),
        pytest.param("plain text", id="plain text"),
        pytest.param("$argon2id$v=19$m=8", id="argon2 cut"),
        pytest.param("$argon2id$v=19$m=8,t=1,p=1$AAAA$AAAA", id="argon2 too short"),
        pytest.param("$argon2é", id="argon2 not ASCII"),
        pytest.param("$2b$04$short", id="bcrypt cut"),
        pytest.param("$2b$31$" + "a" * 53, id="bcrypt for hours"),
    ],
)
def test_a_malformed_hash_is_a_wrong_password_and_logged(
    stored: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A hash that cannot be read lets nobody in, and the log says so without it."""
    with pytest.raises(WrongPassword):
        passwords.verify(stored, PASSWORD)
    assert "stored" in caplog.text
    assert not stored or stored not in caplog.text


COMPOSED, DECOMPOSED = (unicodedata.normalize(f, "crème brûlée à la carte") for f in ("NFC", "NFD"))


@pytest.mark.parametrize("typed", [COMPOSED, DECOMPOSED], ids=["composed", "decomposed"])
@pytest.mark.parametrize("hashed", [COMPOSED, DECOMPOSED], ids=["of composed", "of decomposed"])
@pytest.mark.parametrize("kind", ["argon2", "bcrypt"])
def test_an_imported_hash_of_either_form_verifies(kind: str, hashed: str, typed: str) -> None:
    """Another system hashed what a Mac or a PC had typed; the same person types it here on both."""
    stored = (
        PasswordHasher(time_cost=1, memory_cost=64).hash(hashed)
        if kind == "argon2"
        else bcrypt.hashpw(hashed.encode(), bcrypt.gensalt(4)).decode()
    )

    assert passwords.verify(stored, typed)
    with pytest.raises(WrongPassword):
        passwords.verify(stored, typed + "!")


def test_the_second_form_costs_an_unknown_user_as_much(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong password with two forms is hashed twice, whether the user exists or not."""
    costs: list[str] = []

    class Counting(PasswordHasher):
        def hash(self, *args: Any, **kwargs: Any) -> str:
            costs.append("hash")
            return super().hash(*args, **kwargs)

        def verify(self, *args: Any, **kwargs: Any) -> bool:
            costs.append("verify")
            return super().verify(*args, **kwargs)

    monkeypatch.setattr(passwords, "_hasher", Counting(time_cost=1, memory_cost=64))
    stored = passwords.hash("another password")
    costs.clear()

    for attempt in (passwords.verify_dummy, lambda typed: passwords.verify(stored, typed)):
        with pytest.raises(WrongPassword):
            attempt(DECOMPOSED)

    assert ["hash"] * 2 + ["verify"] * 2 == costs


@pytest.mark.parametrize("typed", [COMPOSED, DECOMPOSED, PASSWORD])
@pytest.mark.parametrize("kind", ["argon2", "bcrypt"])
def test_a_hash_is_made_again_by_its_recipe(kind: str, typed: str) -> None:
    """Who may not see the hash makes it of the password; of another password it is another."""
    stored = (
        PasswordHasher(time_cost=1, memory_cost=64, hash_len=24, salt_len=11).hash(typed)
        if kind == "argon2"
        else bcrypt.hashpw(typed.encode(), bcrypt.gensalt(4)).decode()
    )
    digest = stored.rpartition("$")[2] if kind == "argon2" else stored[29:]
    recipe = stored.removesuffix(digest) + ("A" if kind == "argon2" else ".") * len(digest)

    assert stored in passwords.hashes_by(recipe, typed)
    assert stored not in passwords.hashes_by(recipe, typed + "!")


def test_a_dummy_verify_never_succeeds() -> None:
    """Verifying for an unknown user raises WrongPassword."""
    with pytest.raises(WrongPassword):
        passwords.verify_dummy(PASSWORD)


def test_a_dummy_verify_does_the_work_of_a_real_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """An unknown user's password goes through one Argon2 hash with the live parameters."""
    made = []
    real = passwords.hash
    monkeypatch.setattr(passwords, "hash", lambda password: made.append(real(password)))

    with pytest.raises(WrongPassword):
        passwords.verify_dummy(PASSWORD)

    assert [passwords.check_needs_rehash(stored) for stored in made] == [False]


@pytest.mark.parametrize(
    "stored",
    [
        pytest.param("$2b$04$" + "a" * 52, id="too short"),
        pytest.param("$2b$04$" + "a" * 53 + "\n", id="line break"),
        pytest.param("$2x$04$" + "." * 53, id="the broken 2x"),
        pytest.param("$2b$03$" + "." * 53, id="cost 3"),
        pytest.param("$2b$16$" + "." * 53, id="cost 16"),
        pytest.param("$2b$04$" + "." * 21 + "A" + "." * 31, id="unused salt bits"),
        pytest.param("$2b$04$" + "." * 52 + "A", id="unused hash bits"),
        pytest.param("$argon2id$v=19$m=19456,t=2,p=1$AAAA$AAAA", id="argon2"),
    ],
)
def test_an_unusable_hash_cannot_be_imported(stored: str) -> None:
    """A text that bcrypt cannot verify is not a bcrypt hash."""
    assert not passwords.is_bcrypt(stored)


@pytest.mark.parametrize(
    "password",
    [
        pytest.param("correct horse battery staple", id="words"),
        pytest.param("x7#pQ2!mZ9@k", id="twelve"),
        pytest.param("ab" * 127 + "cd", id="256"),
        pytest.param("пароль-не-для-всех", id="Cyrillic"),
        pytest.param("🐎🔋📎🐎✅🔋📎🐎✅📎🔋🐎", id="twelve emoji"),
    ],
)
def test_a_good_password_is_accepted(password: str) -> None:
    """12 to 256 characters of any script will do."""
    passwords.require_acceptable(password, email="someone@example.com")


@pytest.mark.parametrize(
    ("password", "why"),
    [
        pytest.param("elevenchars", "12 to 256", id="eleven"),
        pytest.param("ab" * 128 + "c", "12 to 256", id="257"),
        pytest.param(
            unicodedata.normalize("NFD", "éèêëéèêëéèê"), "12 to 256", id="eleven, decomposed"
        ),
        pytest.param("1Q2W3E4R5T6Y", "first that others try", id="common, upper case"),
        pytest.param("password1234", "first that others try", id="common with digits"),
        pytest.param("!!Christopher2024", "first that others try", id="name with a year"),
        pytest.param("aaaaaaaaaaaa", "first that others try", id="one character"),
        pytest.param("abc123abc123abc123", "first that others try", id="repetition"),
        pytest.param("Some.One@Example.com", "email", id="own email"),
        pytest.param("with a NUL \0 in it", "control", id="NUL"),
        pytest.param("a lone surrogate \ud800", "control", id="surrogate"),
    ],
)
def test_a_bad_password_is_refused(password: str, why: str) -> None:
    """Too short, too long or too common passwords are refused with the reason."""
    with pytest.raises(UnacceptablePassword, match=why):
        passwords.require_acceptable(password, email="some.one@example.com")
