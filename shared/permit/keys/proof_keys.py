"""The life of a tenant's proof keys: next, current, retired or withdrawn; and of their seals."""

from uuid import UUID

from permit.db import Database
from permit.errors import NotFound
from permit.keys import queries
from permit.keys.queries import PROOF_KEYS, SECOND_FACTORS, SealedKind
from permit.keys.refusals import MasterKeyInUse
from permit.keys.rows import SealedKey
from permit.operator_access import Operator
from permit.secrets.sources import SecretSource
from permit.security.jwk import b64url_decode
from permit.security.proofs import ProofKey
from permit.security.sealing import PROOF_KEY, MasterKeys, Sealed, UnknownMasterKey

_BATCH = 200


def add_first_keys(database: Database, master_keys: SecretSource, tenant_id: UUID) -> None:
    """Runs in the transaction that creates the tenant."""
    _add(database, master_keys, tenant_id, state="current")
    _add(database, master_keys, tenant_id, state="next")


def rotate(operator: Operator, master_keys: SecretSource, tenant_id: UUID) -> None:
    """The next key signs from now; the current one goes on verifying what it signed."""
    with operator.entered(tenant_id) as database:
        _require_tenant(database, tenant_id)
        _replace_current(database, master_keys, tenant_id, becomes="retired")


def withdraw(operator: Operator, master_keys: SecretSource, tenant_id: UUID, kid: str) -> None:
    """Stops publishing a leaked key, and replaces it if it was current or next."""
    with operator.entered(tenant_id) as database:
        _require_tenant(database, tenant_id)
        state = queries.find_state(database, tenant_id, kid)
        if state is None:
            raise NotFound
        if state == "current":
            _replace_current(database, master_keys, tenant_id, becomes="withdrawn")
        elif state == "next":
            queries.end_key(database, tenant_id, was="next", becomes="withdrawn")
            _add(database, master_keys, tenant_id, state="next")
        else:
            queries.withdraw_retired(database, tenant_id, kid)


def reseal(database: Database, keys: MasterKeys) -> int:
    """Seals proof keys and second factors under the current master key; returns how many.

    Each is a statement of its own, so a run can be stopped and started again at any time.
    """
    return _reseal(database, keys, PROOF_KEYS) + _reseal(database, keys, SECOND_FACTORS)


def drop_master_key(database: Database, keys: MasterKeys, version: str) -> MasterKeys:
    """Raises NotFound, MasterKeyInUse."""
    if version == keys.current_version or queries.count_sealed(database, version) > 0:
        raise MasterKeyInUse
    try:
        return keys.without(version)
    except UnknownMasterKey:
        raise NotFound from None


def _reseal(database: Database, keys: MasterKeys, kind: SealedKind) -> int:
    count = 0
    while batch := queries.list_sealed_otherwise(
        database, kind, keys.current_version, at_most=_BATCH
    ):
        for old in batch:
            sealed = Sealed(master_version=old.master_version, blob=old.sealed)
            plain = keys.unseal(sealed, tenant_id=old.tenant_id, kid=old.kid, purpose=kind.purpose)
            new = keys.seal(plain, tenant_id=old.tenant_id, kid=old.kid, purpose=kind.purpose)
            queries.replace_seal(database, kind, old, sealed=new.blob, version=new.master_version)
        count += len(batch)
    return count


def _require_tenant(database: Database, tenant_id: UUID) -> None:
    if not queries.lock_tenant(database, tenant_id):
        raise NotFound


def _replace_current(
    database: Database, master_keys: SecretSource, tenant_id: UUID, *, becomes: str
) -> None:
    queries.end_key(database, tenant_id, was="current", becomes=becomes)
    queries.promote_next(database, tenant_id)
    _add(database, master_keys, tenant_id, state="next")


def _add(database: Database, master_keys: SecretSource, tenant_id: UUID, *, state: str) -> None:
    key = ProofKey.generate()
    # Past the cache: an old copy may seal under a version that was dropped since.
    keys = master_keys.parsed_for_change(MasterKeys.parse)
    sealed = keys.seal(key.seed, tenant_id=tenant_id, kid=key.kid, purpose=PROOF_KEY)
    queries.insert_key(
        database,
        SealedKey(
            tenant_id=tenant_id,
            kid=key.kid,
            sealed=sealed.blob,
            master_version=sealed.master_version,
        ),
        public_key=b64url_decode(key.public_jwk["x"]),
        state=state,
    )
