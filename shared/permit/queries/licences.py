"""What happens to an issued licence and its devices. All under the entered tenant."""

from uuid import UUID

from permit.db import Database
from permit.models import Activation, LicenceState


def lock_licence(database: Database, tenant_id: UUID, licence_id: UUID) -> LicenceState | None:
    """The lock under which seats are taken: hold it to change a device's state."""
    return database.fetch_one(
        LicenceState,
        """
        SELECT suspended_at, revoked_at
          FROM permit.licences
         WHERE tenant_id = %(tenant_id)s AND id = %(licence_id)s
           FOR NO KEY UPDATE
        """,
        {"tenant_id": tenant_id, "licence_id": licence_id},
    )


def set_suspended(
    database: Database, tenant_id: UUID, licence_id: UUID, *, is_suspended: bool
) -> None:
    database.execute(
        """
        UPDATE permit.licences
           SET suspended_at = CASE WHEN %(is_suspended)s THEN permit.clock() END
         WHERE tenant_id = %(tenant_id)s AND id = %(licence_id)s
        """,
        {"tenant_id": tenant_id, "licence_id": licence_id, "is_suspended": is_suspended},
    )


def set_revoked(database: Database, tenant_id: UUID, licence_id: UUID) -> None:
    database.execute(
        """
        UPDATE permit.licences
           SET revoked_at = permit.clock()
         WHERE tenant_id = %(tenant_id)s AND id = %(licence_id)s
        """,
        {"tenant_id": tenant_id, "licence_id": licence_id},
    )


def replace_key(
    database: Database,
    tenant_id: UUID,
    licence_id: UUID,
    *,
    key_hash: bytes,
    key_hint: str,
    overlap: str,
) -> None:
    """The current key goes on working for `overlap`, an ISO 8601 duration."""
    parameters = {
        "tenant_id": tenant_id,
        "licence_id": licence_id,
        "key_hash": key_hash,
        "key_hint": key_hint,
        "overlap": overlap,
    }
    database.execute(
        """
        UPDATE permit.licence_keys
           SET valid_until = permit.clock() + %(overlap)s::interval
         WHERE tenant_id = %(tenant_id)s AND licence_id = %(licence_id)s AND valid_until IS NULL
        """,
        parameters,
    )
    database.execute(
        """
        INSERT INTO permit.licence_keys (key_hash, tenant_id, licence_id)
        VALUES (%(key_hash)s, %(tenant_id)s, %(licence_id)s)
        """,
        parameters,
    )
    database.execute(
        """
        UPDATE permit.licences
           SET key_hint = %(key_hint)s
         WHERE tenant_id = %(tenant_id)s AND id = %(licence_id)s
        """,
        parameters,
    )


def activate_device(
    database: Database, licence_id: UUID, *, fingerprint_hash: bytes, name: str | None
) -> Activation:
    """Seats a device whatever the policy's activation says, within the limit."""
    activation = database.fetch_one(
        Activation,
        """
        SELECT device_id, refused
          FROM permit.activate_device(%(licence_id)s, %(fingerprint_hash)s, %(name)s)
        """,
        {"licence_id": licence_id, "fingerprint_hash": fingerprint_hash, "name": name},
    )
    assert activation is not None  # noqa: S101 (the door always answers one row)
    return activation


def set_device_state(
    database: Database, tenant_id: UUID, licence_id: UUID, device_id: UUID, state: str
) -> bool:
    """Whether the licence has this device. The caller holds the licence's lock."""
    changed = database.execute(
        """
        UPDATE permit.devices
           SET state = %(state)s
         WHERE tenant_id = %(tenant_id)s AND licence_id = %(licence_id)s AND id = %(device_id)s
        """,
        {
            "tenant_id": tenant_id,
            "licence_id": licence_id,
            "device_id": device_id,
            "state": state,
        },
    )
    return changed == 1


def find_device_state(
    database: Database, tenant_id: UUID, licence_id: UUID, device_id: UUID
) -> str | None:
    return database.fetch_value(
        """
        SELECT state
          FROM permit.devices
         WHERE tenant_id = %(tenant_id)s AND licence_id = %(licence_id)s AND id = %(device_id)s
        """,
        {"tenant_id": tenant_id, "licence_id": licence_id, "device_id": device_id},
    )
