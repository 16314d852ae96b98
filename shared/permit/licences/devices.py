"""The devices and the meters of a licence, as its vendor handles them."""

from uuid import UUID

from permit.check.facts import DeviceSent
from permit.db import Database
from permit.errors import NotFound
from permit.licences.queries import devices
from permit.licences.refusals import DeviceBlocked, LicenceRevoked, NoFreeSeat
from permit.licences.rows import Device, MeterUsage


def activate_device(
    database: Database, licence_id: UUID, device: DeviceSent
) -> tuple[Device, bool]:
    """In the entered tenant; the device, and whether the licence had not known it."""
    seating = devices.seat_device(database, licence_id, device)
    if seating.id is None:
        refusal = {
            "revoked": LicenceRevoked,
            "blocked": DeviceBlocked,
            "full": NoFreeSeat,
        }.get(seating.refused or "", NotFound)
        raise refusal
    seated = Device(
        id=seating.id,
        name=seating.name,
        platform=seating.platform,
        state=seating.state,
        seated_at=seating.seated_at,
        first_seen_at=seating.first_seen_at,
        last_seen_at=seating.last_seen_at,
    )
    return seated, seating.is_new


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
