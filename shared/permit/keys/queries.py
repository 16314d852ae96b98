"""The tenants' proof keys: public for everyone, sealed for the operator."""

from typing import LiteralString, NamedTuple
from uuid import UUID

from permit.db import Database
from permit.keys.rows import PublishedKey, SealedKey
from permit.security.sealing import PROOF_KEY, SECOND_FACTOR


class SealedKind(NamedTuple):
    """One kind of data that is sealed under the master key, and how it is re-sealed."""

    purpose: bytes
    list_statement: LiteralString
    replace_statement: LiteralString


PROOF_KEYS = SealedKind(
    PROOF_KEY,
    """
    SELECT tenant_id, kid, sealed, master_version
      FROM permit.list_sealed_keys(%(version)s, %(at_most)s)
    """,
    "SELECT permit.replace_seal(%(kid)s, %(old_sealed)s, %(sealed)s, %(version)s)",
)
SECOND_FACTORS = SealedKind(
    SECOND_FACTOR,
    """
    SELECT tenant_id, kid, sealed, master_version
      FROM permit.list_sealed_factors(%(version)s, %(at_most)s)
    """,
    "SELECT permit.replace_factor_seal(%(kid)s, %(old_sealed)s, %(sealed)s, %(version)s)",
)


def list_published(database: Database, tenant_id: UUID) -> list[PublishedKey]:
    """Current, next, then the retired; none at all where there is no such tenant."""
    return database.fetch_all(
        PublishedKey,
        "SELECT kid, public_key FROM permit.list_proof_keys(%(tenant_id)s)",
        {"tenant_id": tenant_id},
        is_repeatable=True,
    )


def insert_key(database: Database, key: SealedKey, *, public_key: bytes, state: str) -> None:
    database.execute(
        """
        INSERT INTO permit.proof_keys (tenant_id, kid, state, public_key, sealed, master_version)
        VALUES (%(tenant_id)s, %(kid)s, %(state)s, %(public_key)s, %(sealed)s, %(master_version)s)
        """,
        {
            "tenant_id": key.tenant_id,
            "kid": key.kid,
            "state": state,
            "public_key": public_key,
            "sealed": key.sealed,
            "master_version": key.master_version,
        },
    )


def find_state(database: Database, tenant_id: UUID, kid: str) -> str | None:
    return database.fetch_value(
        "SELECT state FROM permit.proof_keys WHERE tenant_id = %(tenant_id)s AND kid = %(kid)s",
        {"tenant_id": tenant_id, "kid": kid},
    )


def end_key(database: Database, tenant_id: UUID, *, was: str, becomes: str) -> None:
    """Ends the current or the next key."""
    database.execute(
        """
        UPDATE permit.proof_keys
           SET state = %(becomes)s, ended_at = permit.clock()
         WHERE tenant_id = %(tenant_id)s AND state = %(was)s
        """,
        {"tenant_id": tenant_id, "was": was, "becomes": becomes},
    )


def withdraw_retired(database: Database, tenant_id: UUID, kid: str) -> None:
    database.execute(
        """
        UPDATE permit.proof_keys
           SET state = 'withdrawn'
         WHERE tenant_id = %(tenant_id)s AND kid = %(kid)s AND state = 'retired'
        """,
        {"tenant_id": tenant_id, "kid": kid},
    )


def promote_next(database: Database, tenant_id: UUID) -> None:
    database.execute(
        """
        UPDATE permit.proof_keys
           SET state = 'current'
         WHERE tenant_id = %(tenant_id)s AND state = 'next'
        """,
        {"tenant_id": tenant_id},
    )


def list_sealed_otherwise(
    database: Database, kind: SealedKind, version: str, *, at_most: int
) -> list[SealedKey]:
    """What is sealed under other versions of the master key, for all tenants."""
    return database.fetch_all(
        SealedKey, kind.list_statement, {"version": version, "at_most": at_most}
    )


def count_sealed(database: Database, version: str) -> int:
    """How much of every kind is sealed under this version."""
    return database.fetch_value(
        "SELECT permit.count_sealed_keys(%(version)s)", {"version": version}
    )


def replace_seal(
    database: Database, kind: SealedKind, old: SealedKey, *, sealed: bytes, version: str
) -> None:
    database.fetch_value(
        kind.replace_statement,
        {"kid": old.kid, "old_sealed": old.sealed, "sealed": sealed, "version": version},
    )


def lock_tenant(database: Database, tenant_id: UUID) -> bool:
    """Whether there is such a tenant; its proof keys change under this lock."""
    locked = database.fetch_value(
        "SELECT true FROM permit.tenants WHERE id = %(tenant_id)s FOR NO KEY UPDATE",
        {"tenant_id": tenant_id},
    )
    return locked is True
