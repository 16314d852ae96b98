"""Opens what is sealed under the master key, by the versions known here or by newer ones."""

from uuid import UUID

from permit.secrets.sources import SecretSource
from permit.security.sealing import MasterKeys, Sealed, UnknownMasterKey


def unseal(
    source: SecretSource, sealed: Sealed, *, tenant_id: UUID, kid: str, purpose: bytes
) -> bytes:
    """Raises SecretUnavailable, UnknownMasterKey or SealBroken."""
    try:
        keys = source.parsed(MasterKeys.parse)
        return keys.unseal(sealed, tenant_id=tenant_id, kid=kid, purpose=purpose)
    except UnknownMasterKey:  # sealed under a version newer than what is cached here
        keys = source.parsed(MasterKeys.parse, fresh=True)
        return keys.unseal(sealed, tenant_id=tenant_id, kid=kid, purpose=purpose)
