"""Passwords: Argon2id for every new hash, bcrypt read so that imported users can sign in.

Unicode: a new hash sees the NFC form (NIST SP 800-63B-4, RFC 8265), so that "é" typed on another
keyboard is the same password. NFKC would also merge what a person meant to tell apart. An imported
hash was made elsewhere, perhaps of the decomposed form or of the password as it was typed: those
are tried as well, where they differ.
"""

import base64
import logging
import re
import unicodedata
from typing import NoReturn

import argon2
import bcrypt
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError
from argon2.low_level import Type, hash_secret

from permit.security.password_rules import UnacceptablePassword, require_acceptable

__all__ = [
    "OWASP_19MIB_T2",
    "UnacceptablePassword",
    "WrongPassword",
    "check_needs_rehash",
    "hash",
    "hashes_by",
    "is_bcrypt",
    "require_acceptable",
    "verify",
    "verify_dummy",
]

# OWASP's parameters with the best cost to an attacker for our own: 46 MiB and one pass count as
# equal and take two to three times as long here. Time counts more than memory: login shares its
# account's concurrency with the licence check. To raise them is to change this line; every hash
# follows at its next login.
OWASP_19MIB_T2 = argon2.Parameters(
    type=Type.ID,
    version=19,
    salt_len=16,
    hash_len=32,
    time_cost=2,
    memory_cost=19 * 1024,
    parallelism=1,
)

_hasher = argon2.PasswordHasher.from_parameters(OWASP_19MIB_T2)
_logger = logging.getLogger(__name__)

# Costs over 15 take seconds. The last symbol of salt and hash carries unused bits, which bcrypt
# insists are zero: a hash with others could never verify.
_BCRYPT = re.compile(
    r"\$2[aby]\$(?:0[4-9]|1[0-5])\$[./A-Za-z0-9]{21}[.Oeu][./A-Za-z0-9]{30}[.CGKOSWaeimquy26]"
)
_BCRYPT_LONGEST = 72  # bytes
_BCRYPT_SALT = 29  # symbols, kind and cost included


class WrongPassword(Exception):
    """The password does not fit, whatever the reason."""


def hash(password: str) -> str:
    """A new Argon2id hash, with its parameters and salt inside."""
    return _hasher.hash(_composed(password))


def verify(stored: str, password: str) -> bool:
    """True, or WrongPassword: a forgotten `if` cannot let anyone in."""
    if stored.startswith("$argon2"):
        return _verify_argon2(stored, password)
    return _verify_bcrypt(stored, password)


def verify_dummy(password: str) -> NoReturn:
    """WrongPassword, always, at the cost of a real verify: so that an unknown user takes as long.

    Hashing is the same work as verifying, with today's parameters, and needs no stored dummy.
    """
    hash(password)
    for form in _argon2_forms(password)[1:]:
        _hasher.hash(form)
    raise WrongPassword


def check_needs_rehash(stored: str) -> bool:
    """Whether a hash that has just verified should be replaced by a new one."""
    return not stored.startswith("$argon2") or _hasher.check_needs_rehash(stored)


def is_bcrypt(stored: str) -> bool:
    """Whether an imported hash is one that `verify` can use."""
    return _BCRYPT.fullmatch(stored) is not None


def hashes_by(recipe: str, password: str) -> list[str]:
    """What the stored hash is if this is its password: one for each form that `verify` would try.

    For a caller who may not see the hash. The recipe is that hash with a digest of zeros, which
    keeps its kind, its parameters and its salt.
    """
    if not recipe.startswith("$argon2"):
        salt = recipe[:_BCRYPT_SALT].encode("ascii")
        return [bcrypt.hashpw(form, salt).decode("ascii") for form in _bcrypt_forms(password)]
    parameters = argon2.extract_parameters(recipe)
    salt = recipe.split("$")[-2]
    return [
        hash_secret(
            form,
            base64.b64decode(salt + "=" * (-len(salt) % 4)),
            time_cost=parameters.time_cost,
            memory_cost=parameters.memory_cost,
            parallelism=parameters.parallelism,
            hash_len=parameters.hash_len,
            type=parameters.type,
            version=parameters.version,
        ).decode("ascii")
        for form in _argon2_forms(password)
    ]


def _verify_argon2(stored: str, password: str) -> bool:
    for form in _argon2_forms(password):
        try:
            return _hasher.verify(stored, form)
        except VerifyMismatchError:
            continue
        except (InvalidHashError, VerificationError, UnicodeEncodeError):
            _logger.error("a stored Argon2 hash is malformed")
            break
    raise WrongPassword


def _verify_bcrypt(stored: str, password: str) -> bool:
    if not is_bcrypt(stored):
        _logger.error("a stored password hash is neither Argon2 nor bcrypt")
        raise WrongPassword
    if any(bcrypt.checkpw(form, stored.encode("ascii")) for form in _bcrypt_forms(password)):
        return True
    raise WrongPassword


def _argon2_forms(password: str) -> list[bytes]:
    """Ours is the first, and for most passwords the only one."""
    return list(dict.fromkeys((_composed(password), _decomposed(password))))


def _bcrypt_forms(password: str) -> list[bytes]:
    forms = dict.fromkeys((_encoded(password), _composed(password), _decomposed(password)))
    # bcrypt ignores what follows: a longer password must be refused, not cut.
    return [form for form in forms if len(form) <= _BCRYPT_LONGEST]


def _composed(password: str) -> bytes:
    return _encoded(unicodedata.normalize("NFC", password))


def _decomposed(password: str) -> bytes:
    return _encoded(unicodedata.normalize("NFD", password))


def _encoded(password: str) -> bytes:
    # JSON can carry lone surrogates, which UTF-8 cannot: such a password is only ever wrong.
    return password.encode("utf-8", "surrogatepass")
