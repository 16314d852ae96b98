"""The devices and the meters of a licence, as its vendor handles them."""

from uuid import UUID

from permit.check.facts import DeviceSent
from permit.db import Database
from permit.errors import NotFound
from permit.licences.queries import devices
from permit.licences.refusals import DeviceBlocked, LicenceRevoked, NoFreeSeat
from permit.licences.rows import Device, MeterUsage, Seating

_REFUSALS = {"revoked": LicenceRevoked, "blocked": DeviceBlocked, "full": NoFreeSeat}


def activate_device(database: Database, licence_id: UUID, device: DeviceSent) -> Seating:
    """In the entered tenant. Raises NotFound, LicenceRevoked, DeviceBlocked, NoFreeSeat."""
    seating = devices.seat_device(database, licence_id, device)
    if seating.refused is not None:
        raise _REFUSALS.get(seating.refused, NotFound)
    return seating


def release_device(
    database: Database, tenant_id: UUID, licence_id: UUID, device_id: UUID
) -> Device:
    """By the vendor, so that max_releases does not count it. Raises DeviceBlocked."""
    released = devices.set_state(
        database,
        tenant_id,
        licence_id,
        device_id,
        state="released",
        was=("seated", "lapsed", "released"),
    )
    if released is None:
        get_device(database, tenant_id, licence_id, device_id)
        raise DeviceBlocked
    return released


def block_device(database: Database, tenant_id: UUID, licence_id: UUID, device_id: UUID) -> Device:
    """Frees the seat and keeps the device known, so that it gets none again."""
    blocked = devices.set_state(
        database,
        tenant_id,
        licence_id,
        device_id,
        state="blocked",
        was=("seated", "lapsed", "released"),
    )
    return blocked or get_device(database, tenant_id, licence_id, device_id)


def unblock_device(
    database: Database, tenant_id: UUID, licence_id: UUID, device_id: UUID
) -> Device:
    """It has no seat, and may take one again."""
    unblocked = devices.set_state(
        database, tenant_id, licence_id, device_id, state="released", was=("blocked",)
    )
    return unblocked or get_device(database, tenant_id, licence_id, device_id)


def get_device(database: Database, tenant_id: UUID, licence_id: UUID, device_id: UUID) -> Device:
    device = devices.find_device(database, tenant_id, licence_id, device_id)
    if device is None:
        raise NotFound
    return device


def reset_usage(database: Database, tenant_id: UUID, licence_id: UUID, meter: str) -> MeterUsage:
    devices.reset_usage(database, tenant_id, licence_id, meter)
    for usage in devices.list_usage(database, tenant_id, licence_id):
        if usage.meter == meter:
            return usage
    raise NotFound
