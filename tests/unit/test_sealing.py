"""Sealing: what opens, and what must not."""

import json
from dataclasses import replace
from uuid import UUID, uuid4

import pytest

from permit.security.sealing import (
    PROOF_KEY,
    MalformedSecret,
    MasterKeys,
    SealBroken,
    Sealed,
    UnknownMasterKey,
)

HEX = "ab" * 32
TENANT = UUID("00000000-0000-0000-0000-000000000001")


@pytest.fixture
def keys() -> MasterKeys:
    return MasterKeys.parse(json.dumps({"current": "1", "1": HEX}))


def test_what_was_sealed_opens(keys: MasterKeys) -> None:
    """The same tenant and kid get the bytes back."""
    sealed = keys.seal(b"seed", tenant_id=TENANT, kid="k", purpose=PROOF_KEY)

    assert sealed.master_version == "1"
    assert keys.unseal(sealed, tenant_id=TENANT, kid="k", purpose=PROOF_KEY) == b"seed"


def test_sealing_twice_gives_different_bytes(keys: MasterKeys) -> None:
    """Every seal has a nonce of its own."""
    first, second = (
        keys.seal(b"seed", tenant_id=TENANT, kid="k", purpose=PROOF_KEY) for _ in range(2)
    )
    assert first.blob != second.blob


@pytest.mark.parametrize(
    ("tenant", "kid"),
    [
        pytest.param(uuid4(), "k", id="another tenant"),
        pytest.param(TENANT, "another", id="another kid"),
        pytest.param(TENANT, "", id="no kid"),
    ],
)
def test_a_seal_fits_one_tenant_and_key(keys: MasterKeys, tenant: UUID, kid: str) -> None:
    """A row moved to another tenant or key does not open."""
    sealed = keys.seal(b"seed", tenant_id=TENANT, kid="k", purpose=PROOF_KEY)
    with pytest.raises(SealBroken):
        keys.unseal(sealed, tenant_id=tenant, kid=kid, purpose=PROOF_KEY)


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda blob: b"", id="empty"),
        pytest.param(lambda blob: blob[:5], id="inside the nonce"),
        pytest.param(lambda blob: blob[:20], id="inside the tag"),
        pytest.param(lambda blob: blob[:-1] + bytes([blob[-1] ^ 1]), id="last bit"),
        pytest.param(lambda blob: bytes([blob[0] ^ 1]) + blob[1:], id="first bit"),
    ],
)
def test_damaged_bytes_do_not_open(keys: MasterKeys, damage) -> None:
    """Bytes that were cut or changed raise SealBroken and nothing else."""
    sealed = keys.seal(b"seed", tenant_id=TENANT, kid="k", purpose=PROOF_KEY)
    with pytest.raises(SealBroken):
        keys.unseal(
            replace(sealed, blob=damage(sealed.blob)), tenant_id=TENANT, kid="k", purpose=PROOF_KEY
        )


def test_a_new_version_seals_only_once_it_is_current(keys: MasterKeys) -> None:
    """A new version is known everywhere before anything is sealed under it."""
    added = MasterKeys.parse(keys.with_new_version().dump())
    switched = added.with_newest_current()
    early = added.seal(b"early", tenant_id=TENANT, kid="k", purpose=PROOF_KEY)
    late = switched.seal(b"late", tenant_id=TENANT, kid="k", purpose=PROOF_KEY)

    assert (early.master_version, late.master_version) == ("1", "2")
    assert added.unseal(late, tenant_id=TENANT, kid="k", purpose=PROOF_KEY) == b"late"
    assert switched.unseal(early, tenant_id=TENANT, kid="k", purpose=PROOF_KEY) == b"early"


def test_a_version_that_is_gone_is_unknown(keys: MasterKeys) -> None:
    """A seal under a removed or newer version raises UnknownMasterKey."""
    sealed = keys.seal(b"seed", tenant_id=TENANT, kid="k", purpose=PROOF_KEY)
    with pytest.raises(UnknownMasterKey):
        keys.with_new_version().with_newest_current().without("1").unseal(
            sealed, tenant_id=TENANT, kid="k", purpose=PROOF_KEY
        )
    with pytest.raises(UnknownMasterKey):
        keys.unseal(
            Sealed(master_version="9", blob=sealed.blob),
            tenant_id=TENANT,
            kid="k",
            purpose=PROOF_KEY,
        )


def test_the_current_version_stays(keys: MasterKeys) -> None:
    """Neither the current key nor an unknown one can be removed."""
    with pytest.raises(ValueError, match="current"):
        keys.without("1")
    with pytest.raises(UnknownMasterKey):
        keys.without("7")


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        pytest.param("", "not JSON", id="empty"),
        pytest.param(f'{{"1": "{HEX}"', "not JSON", id="cut"),
        pytest.param(f'["{HEX}"]', "not a JSON object", id="list"),
        pytest.param(json.dumps({"1": HEX}), "current", id="no current"),
        pytest.param(json.dumps({"current": "2", "1": HEX}), "current", id="current unknown"),
        pytest.param(json.dumps({"current": 1, "1": HEX}), "current", id="current no text"),
        pytest.param(json.dumps({"current": "1", "1": HEX[:-1]}), "master key 1", id="short"),
        pytest.param(json.dumps({"current": "1", "1": "zz" * 32}), "master key 1", id="no hex"),
        pytest.param(json.dumps({"current": "1", "1": 7}), "master key 1", id="no text"),
        pytest.param(json.dumps({"current": "x", "x": HEX}), "version", id="version"),
    ],
)
def test_malformed_master_keys_are_named_not_quoted(text: str, wrong: str) -> None:
    """The refusal says what is wrong; neither it nor its cause has the key."""
    with pytest.raises(MalformedSecret, match=wrong) as refusal:
        MasterKeys.parse(text)
    assert HEX[:20] not in f"{refusal.value} {refusal.value.__cause__}"


def test_the_repr_shows_no_key(keys: MasterKeys) -> None:
    """The repr of the master keys shows no key."""
    assert "keys" not in repr(keys).replace("MasterKeys", "")
    assert HEX not in repr(keys)
