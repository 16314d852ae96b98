"""What is refused to the vendor of a licence: what its state or its policy does not allow."""

from datetime import datetime

from pydantic_core import to_jsonable_python

from permit.check.verdicts import MISTYPED, NOT_FOUND
from permit.errors import Conflict, NotFound


def unknown_key(*, mistyped: bool) -> NotFound:
    """No licence has the key, or has had it."""
    refusal = NotFound()
    refusal.detail = (MISTYPED if mistyped else NOT_FOUND).detail
    refusal.members = {"mistyped": mistyped}
    return refusal


class ProductArchived(Conflict):
    """An archived product gets no new licences; existing ones go on."""

    code = "product_archived"
    detail = "The product is archived: it gets no new licences."


class LicenceRevoked(Conflict):
    """This cannot be done to a licence that was revoked for good."""

    code = "licence_revoked"
    detail = "The licence was revoked for good."


class LicencePerpetual(Conflict):
    """A licence without an end cannot be renewed."""

    code = "licence_perpetual"
    detail = "The licence has no end: there is nothing to renew."


class LicenceNotStarted(Conflict):
    """A licence that waits for its first check has no term yet."""

    code = "licence_not_started"
    detail = "The licence has not started: it has no term yet."


class LicenceEndMoved(Conflict):
    """The licence's end is not the one that the caller knows: somebody has renewed it since."""

    code = "licence_end_moved"

    def __init__(self, expires_at: datetime) -> None:
        super().__init__()
        present = to_jsonable_python(expires_at)
        self.detail = f"The licence does not end at the time in `from`: it ends at {present}."
        self.members = {"expires_at": present}


class PolicyWithoutDuration(Conflict):
    """The policy has no duration to renew for."""

    code = "policy_without_duration"
    detail = "The policy has no duration: say duration or expires_at."


class NoFreeSeat(Conflict):
    """Every seat of the licence is taken."""

    code = "too_many_devices"
    detail = "No seat is free."


class DeviceBlocked(Conflict):
    """The device is blocked: unblock it first."""

    code = "device_blocked"
    detail = "The device is blocked."


class ProductCodeTaken(Conflict):
    """Another product of the tenant has this code."""

    code = "product_code_taken"
    detail = "Another product has this code."


class PolicyInUse(Conflict):
    """A policy with licences is not deleted."""

    code = "policy_in_use"
    detail = "The policy has licences."
