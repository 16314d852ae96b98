"""Sign-in: its throttle, its sessions, and the accounts behind them."""

from collections.abc import Sequence
from uuid import UUID

from permit.db import Database
from permit.people.rows import Admission, RenewedSession, SecondFactorAdmission


def admit_sign_in(
    database: Database,
    email: str,
    *,
    keys: Sequence[bytes],
    free_attempts: Sequence[int],
    delay_caps: Sequence[int],
) -> Admission:
    """Counts the attempt and fetches what verifies it, or says how long to wait."""
    admission = database.fetch_one(
        Admission,
        """
        SELECT retry_after, tenant_id, user_id, role, session_version, password_hash,
               has_second_factor
          FROM permit.admit_sign_in(
               %(email)s, %(keys)s, %(free_attempts)s::integer[], %(delay_caps)s::integer[])
        """,
        {
            "email": email,
            "keys": list(keys),
            "free_attempts": list(free_attempts),
            "delay_caps": list(delay_caps),
        },
    )
    assert admission is not None  # noqa: S101 (the door always answers one row)
    return admission


def admit_second_factor(
    database: Database,
    tenant_id: UUID,
    user_id: UUID,
    session_version: int,
    *,
    keys: Sequence[bytes],
    free_attempts: Sequence[int],
    delay_caps: Sequence[int],
) -> SecondFactorAdmission:
    """As admit_sign_in, for the second step."""
    admission = database.fetch_one(
        SecondFactorAdmission,
        """
        SELECT retry_after, email, role, totp_sealed, totp_master_version
          FROM permit.admit_second_factor(
               %(tenant_id)s, %(user_id)s, %(session_version)s,
               %(keys)s, %(free_attempts)s::integer[], %(delay_caps)s::integer[])
        """,
        {
            "tenant_id": tenant_id,
            "user_id": user_id,
            "session_version": session_version,
            "keys": list(keys),
            "free_attempts": list(free_attempts),
            "delay_caps": list(delay_caps),
        },
    )
    assert admission is not None  # noqa: S101 (the door always answers one row)
    return admission


def begin_verified_session(
    database: Database,
    tenant_id: UUID,
    user_id: UUID,
    session_version: int,
    *,
    totp_step: int | None,
    recovery_hash: bytes,
    token_hash: bytes,
    forget_keys: Sequence[bytes],
) -> bool:
    """Whether a session began: not by a code that has served. No step: by a recovery code."""
    return database.fetch_value(
        """
        SELECT permit.begin_verified_session(
            %(tenant_id)s, %(user_id)s, %(session_version)s, %(totp_step)s, %(recovery_hash)s,
            %(token_hash)s, %(forget_keys)s)
        """,
        {
            "tenant_id": tenant_id,
            "user_id": user_id,
            "session_version": session_version,
            "totp_step": totp_step,
            "recovery_hash": recovery_hash,
            "token_hash": token_hash,
            "forget_keys": list(forget_keys),
        },
    )


def begin_session(
    database: Database,
    admission: Admission,
    *,
    token_hash: bytes,
    forget_keys: Sequence[bytes],
    new_password_hash: str | None,
) -> bool:
    """Whether a session began: not if the user was changed since he was admitted."""
    return database.fetch_value(
        """
        SELECT permit.begin_session(
            %(tenant_id)s, %(user_id)s, %(session_version)s, %(token_hash)s, %(forget_keys)s,
            %(old_hash)s, %(new_hash)s)
        """,
        {
            "tenant_id": admission.tenant_id,
            "user_id": admission.user_id,
            "session_version": admission.session_version,
            "token_hash": token_hash,
            "forget_keys": list(forget_keys),
            "old_hash": admission.password_hash,
            "new_hash": new_password_hash,
        },
    )


def renew_session(
    database: Database, *, token_hash: bytes, new_hash: bytes
) -> RenewedSession | None:
    """None where the token is unknown, expired, or of an ended session."""
    return database.fetch_one(
        RenewedSession,
        """
        SELECT tenant_id, user_id, role, session_version, is_reused
          FROM permit.renew_session(%(token_hash)s, %(new_hash)s)
         WHERE user_id IS NOT NULL
        """,
        {"token_hash": token_hash, "new_hash": new_hash},
    )


def end_session(database: Database, token_hash: bytes) -> None:
    database.fetch_value(
        "SELECT permit.end_session(%(token_hash)s)",
        {"token_hash": token_hash},
        is_repeatable=True,
    )
