"""Who may do what on the vendor's side: each action with the roles that may, in one table.

An action is also what the audit log calls it. Rows of the database are another matter: those of
another tenant nobody sees, whatever their role.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from permit.people.refusals import PROOF_LIFETIME, NotAUser, ProofOfSelfRequired
from permit.security.access_tokens import ProofOfSelf

UserRole = Literal["owner", "admin", "support"]
ApiKeyRole = Literal["admin", "support", "issuer"]

_OWNERS = frozenset({"owner", "admin"})
_READERS = frozenset({"owner", "admin", "support"})
_SHOPS = frozenset({"owner", "admin", "issuer"})
_EVERYBODY = frozenset({"owner", "admin", "support", "issuer"})

ACTIONS: dict[str, frozenset[str]] = {
    "products.read": _READERS,
    "products.create": _OWNERS,
    "products.change": _OWNERS,
    "products.archive": _OWNERS,
    "policies.read": _READERS,
    "policies.create": _OWNERS,
    "policies.change": _OWNERS,
    "policies.delete": _OWNERS,
    "licences.list": _READERS,
    "licences.read": _EVERYBODY,
    "licences.lookup": _EVERYBODY,
    "licences.issue": _SHOPS,
    "licences.renew": _SHOPS,
    "licences.change": _OWNERS,
    "licences.suspend": _OWNERS,
    "licences.reinstate": _OWNERS,
    "licences.revoke": _OWNERS,
    "licences.rotate-key": _OWNERS,
    "licences.transfer": _OWNERS,
    "usage.read": _READERS,
    "usage.reset": _OWNERS,
    "devices.read": _READERS,
    "devices.activate": _OWNERS,
    "devices.release": _READERS,
    "devices.block": _READERS,
    "devices.unblock": _READERS,
    "tenants.read": _EVERYBODY,
    "users.read": _READERS,
    "users.invite": _OWNERS,
    "users.change": _OWNERS,
    "users.deactivate": _OWNERS,
    "users.reactivate": _OWNERS,
    "users.reset-password": _OWNERS,
    "users.remove-second-factor": _OWNERS,
    "users.require-second-factor": frozenset({"owner"}),
    "self.read": _READERS,
    "self.change": _READERS,
    "self.change-password": _READERS,
    "self.second-factor": _READERS,
    "api-keys.read": _READERS,
    "api-keys.create": _OWNERS,
    "api-keys.revoke": _OWNERS,
    "audit.read": _READERS,
}

# What the audit log tells beyond the actions above. Sign-ins, and what a link's holder does.
SIGN_IN_EVENTS = (
    "sessions.begin",
    "sessions.refuse-code",
    "sessions.elevate",
    "sessions.refuse-proof",
    "sessions.reuse",
    "sessions.end",
    "users.accept",
    "users.use-password-reset",
)
# What operators do for a tenant, as their commands are called (functions/operator).
OPERATOR_EVENTS = (
    *("create-tenant", "create-user", "import-user", "set-password", "remove-second-factor"),
    *("create-product", "create-policy", "create-licence", "change-licence"),
    *("suspend-licence", "reinstate-licence", "revoke-licence", "rotate-licence-key"),
    *("activate-device", "release-device", "block-device", "unblock-device"),
)
# Whatever the audit log can tell; who only reads changes nothing, and is not told.
EVENTS = (
    *(action for action in ACTIONS if action.split(".")[1] not in ("read", "list", "lookup")),
    *SIGN_IN_EVENTS,
    *OPERATOR_EVENTS,
)
# What a user may do whose tenant requires a second factor, and who has none yet.
WITHOUT_SECOND_FACTOR = frozenset({"tenants.read", "self.read", "self.second-factor"})

_RANKS = {"owner": 3, "admin": 2}


def is_allowed(role: str, action: str) -> bool:
    return role in ACTIONS[action]


def roles_for(action: str) -> list[str]:
    """Who may do it, the one that goes furthest first."""
    return [role for role in ("owner", "admin", "support", "issuer") if role in ACTIONS[action]]


def is_above(role: str, other: str) -> bool:
    """Whether the first goes further: nobody grants, edits or deactivates above their own."""
    return _RANKS.get(role, 1) > _RANKS.get(other, 1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Caller:
    """Who asks: a user, or a vendor's server by its API key."""

    tenant_id: UUID
    kind: str
    id: UUID
    role: str
    proof: ProofOfSelf | None = None
    """How a user last showed that it is they; none of an API key."""
    has_second_factor: bool = False

    @property
    def user_id(self) -> UUID:
        """The user who asks. Raises NotAUser for an API key."""
        if self.kind != "user":
            raise NotAUser
        return self.id

    def require_fresh_proof(self, now: datetime) -> None:
        """At most ten minutes old, and with the second factor where there is one.

        Raises NotAUser, ProofOfSelfRequired.
        """
        if self.kind != "user":
            raise NotAUser
        if (
            self.proof is None
            or now - self.proof.auth_time > PROOF_LIFETIME
            or (self.has_second_factor and not self.proof.with_second_factor)
        ):
            raise ProofOfSelfRequired
