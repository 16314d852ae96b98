"""Passwords: Argon2id for every new hash, bcrypt read so that imported users can sign in.

Unicode: Argon2 hashes see the NFC form (NIST SP 800-63B-4, RFC 8265), so that "é" typed on another
keyboard is the same password. NFKC would also merge what a person meant to tell apart. A bcrypt
hash was made elsewhere by rules unknown: it sees the password as typed first, then its NFC form.
"""

import logging
import re
import unicodedata
from typing import NoReturn

import argon2
import bcrypt
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError
from argon2.low_level import Type

from permit.security.password_rules import UnacceptablePassword, require_acceptable

__all__ = [
    "OWASP_19MIB_T2",
    "UnacceptablePassword",
    "WrongPassword",
    "check_needs_rehash",
    "hash",
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
_BCRYPT_LONGEST = 72


class WrongPassword(Exception):
    """The password does not fit, whatever the reason."""


def hash(password: str) -> str:
    """A new Argon2id hash, with its parameters and salt inside."""
    return _hasher.hash(_normalised(password))


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
    raise WrongPassword


def check_needs_rehash(stored: str) -> bool:
    """Whether a hash that has just verified should be replaced by a new one."""
    return not stored.startswith("$argon2") or _hasher.check_needs_rehash(stored)


def is_bcrypt(stored: str) -> bool:
    """Whether an imported hash is one that `verify` can use."""
    return _BCRYPT.fullmatch(stored) is not None


def _verify_argon2(stored: str, password: str) -> bool:
    try:
        return _hasher.verify(stored, _normalised(password))
    except VerifyMismatchError:
        raise WrongPassword from None
    except (InvalidHashError, VerificationError, UnicodeEncodeError):
        _logger.error("a stored Argon2 hash is malformed")
        raise WrongPassword from None


def _verify_bcrypt(stored: str, password: str) -> bool:
    if not is_bcrypt(stored):
        _logger.error("a stored password hash is neither Argon2 nor bcrypt")
        raise WrongPassword
    for candidate in dict.fromkeys((_encoded(password), _normalised(password))):
        # bcrypt ignores what follows: a longer password must be refused, not cut.
        if len(candidate) <= _BCRYPT_LONGEST and bcrypt.checkpw(candidate, stored.encode("ascii")):
            return True
    raise WrongPassword


def _normalised(password: str) -> bytes:
    return _encoded(unicodedata.normalize("NFC", password))


def _encoded(password: str) -> bytes:
    # JSON can carry lone surrogates, which UTF-8 cannot: such a password is only ever wrong.
    return password.encode("utf-8", "surrogatepass")
