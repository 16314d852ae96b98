"""Sign-in: its throttle, its sessions, and the accounts behind them."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from permit.db import Database
from permit.people.rows import (
    Admission,
    ProofAdmission,
    RenewedSession,
    SecondFactorAdmission,
)
from permit.people.throttles import Attempt, Success
from permit.security.access_tokens import AccessClaims


def admit_password(database: Database, email: str, attempt: Attempt) -> Admission:
    """Counts the attempt and fetches what verifies it, or says how long to wait."""
    admission = database.fetch_one(
        Admission,
        """
        SELECT retry_after, is_known_place, tenant_id, user_id, role, session_version,
               password_hash, has_second_factor
          FROM permit.admit_password(
               %(email)s, %(keys)s, %(free_attempts)s::integer[], %(delay_caps)s::integer[])
        """,
        {"email": email, **attempt.parameters()},
    )
    assert admission is not None  # noqa: S101 (the door always answers one row)
    return admission


def take_back_attempt(database: Database, keys: Sequence[bytes]) -> None:
    """It was no guess: the first step of a login was passed, or nothing was tried."""
    database.fetch_value("SELECT permit.take_back_attempt(%(keys)s)", {"keys": list(keys)})


def admit_code(database: Database, claims: AccessClaims, attempt: Attempt) -> SecondFactorAdmission:
    """As admit_password, for the second step."""
    admission = database.fetch_one(
        SecondFactorAdmission,
        """
        SELECT retry_after, is_known_place, email, role, totp_sealed, totp_master_version
          FROM permit.admit_code(
               %(tenant_id)s, %(user_id)s, %(session_version)s,
               %(keys)s, %(free_attempts)s::integer[], %(delay_caps)s::integer[])
        """,
        {
            "tenant_id": claims.tid,
            "user_id": claims.sub,
            "session_version": claims.sv,
            **attempt.parameters(),
        },
    )
    assert admission is not None  # noqa: S101 (the door always answers one row)
    return admission


def open_session(
    database: Database,
    admission: Admission,
    *,
    new_password_hash: str | None,
    token_hash: bytes,
    success: Success,
    request: dict[str, Any],
) -> UUID | None:
    """The session's id; None if the user was changed since they were admitted."""
    return database.fetch_value(
        """
        SELECT permit.open_session(
            %(tenant_id)s, %(user_id)s, %(session_version)s, %(old_hash)s, %(new_hash)s,
            %(token_hash)s, %(places)s, %(others)s, %(request)s)
        """,
        {
            "tenant_id": admission.tenant_id,
            "user_id": admission.user_id,
            "session_version": admission.session_version,
            "old_hash": admission.password_hash,
            "new_hash": new_password_hash,
            "token_hash": token_hash,
            **success.parameters(),
            "request": Jsonb(request),
        },
    )


def open_verified_session(
    database: Database,
    claims: AccessClaims,
    *,
    totp_step: int | None,
    recovery_hash: bytes,
    token_hash: bytes,
    success: Success,
    request: dict[str, Any],
) -> UUID | None:
    """The session's id; None by a code that has served. No step: by a recovery code."""
    return database.fetch_value(
        """
        SELECT permit.open_verified_session(
            %(tenant_id)s, %(user_id)s, %(session_version)s, %(totp_step)s, %(recovery_hash)s,
            %(token_hash)s, %(places)s, %(others)s, %(request)s)
        """,
        {
            "tenant_id": claims.tid,
            "user_id": claims.sub,
            "session_version": claims.sv,
            "totp_step": totp_step,
            "recovery_hash": recovery_hash,
            "token_hash": token_hash,
            **success.parameters(),
            "request": Jsonb(request),
        },
    )


def admit_proof(
    database: Database, claims: AccessClaims, session_id: UUID | None, attempt: Attempt
) -> ProofAdmission:
    """As admit_password, for the bearer of an access token."""
    admission = database.fetch_one(
        ProofAdmission,
        """
        SELECT retry_after, is_known_place, password_hash, totp_sealed, totp_master_version
          FROM permit.admit_proof(
               %(tenant_id)s, %(user_id)s, %(session_version)s, %(session_id)s,
               %(keys)s, %(free_attempts)s::integer[], %(delay_caps)s::integer[])
        """,
        {
            "tenant_id": claims.tid,
            "user_id": claims.sub,
            "session_version": claims.sv,
            "session_id": session_id,
            **attempt.parameters(),
        },
    )
    assert admission is not None  # noqa: S101 (the door always answers one row)
    return admission


def prove_self(
    database: Database,
    claims: AccessClaims,
    session_id: UUID | None,
    *,
    matches: bool,
    totp_step: int | None,
    recovery_hash: bytes | None,
    success: Success,
    request: dict[str, Any],
) -> bool:
    """Whether the proof holds: the password matches, and the code is good and had not served."""
    return database.fetch_value(
        """
        SELECT permit.prove_self(
            %(tenant_id)s, %(user_id)s, %(session_version)s, %(session_id)s, %(matches)s,
            %(totp_step)s, %(recovery_hash)s, %(places)s, %(others)s, %(request)s)
        """,
        {
            "tenant_id": claims.tid,
            "user_id": claims.sub,
            "session_version": claims.sv,
            "session_id": session_id,
            "matches": matches,
            "totp_step": totp_step,
            "recovery_hash": recovery_hash,
            **success.parameters(),
            "request": Jsonb(request),
        },
    )


def refresh_session(
    database: Database, *, token_hash: bytes, new_hash: bytes, request: dict[str, Any]
) -> RenewedSession | None:
    """None where the token is unknown, expired, or of an ended session."""
    return database.fetch_one(
        RenewedSession,
        """
        SELECT tenant_id, user_id, role, session_version, session_id, signed_in_at,
               with_second_factor, is_reused
          FROM permit.refresh_session(%(token_hash)s, %(new_hash)s, %(request)s)
         WHERE user_id IS NOT NULL
        """,
        {"token_hash": token_hash, "new_hash": new_hash, "request": Jsonb(request)},
    )


def close_session(database: Database, token_hash: bytes, request: dict[str, Any]) -> None:
    database.fetch_value(
        "SELECT permit.close_session(%(token_hash)s, %(request)s)",
        {"token_hash": token_hash, "request": Jsonb(request)},
        is_repeatable=True,
    )
