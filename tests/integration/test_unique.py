"""One trial a machine: a fingerprint that was ever seated is not seated again in its scope."""

from typing import Any

import pytest

from tests.support.deployment import FINGERPRINT, Deployment, Vendor

CHANGED = "fingerprint-after-a-repair"
PARTS = {"components": {"cpu": "a", "disk": "b"}}


def code(deployment: Deployment, licence: Any, fingerprint: str = FINGERPRINT, **more: Any) -> str:
    return deployment.check(licence["key"], fingerprint, **more)["code"]


@pytest.mark.parametrize(
    ("unique", "same_policy", "other_policy", "other_product"),
    [
        ("none", "VALID", "VALID", "VALID"),
        ("policy", "DEVICE_ALREADY_USED", "VALID", "VALID"),
        ("product", "DEVICE_ALREADY_USED", "DEVICE_ALREADY_USED", "VALID"),
    ],
)
def test_a_scope_is_a_policy_or_a_product(
    deployment: Deployment, unique: str, same_policy: str, other_policy: str, other_product: str
) -> None:
    """Within the scope a second licence is refused, outside of it it is not."""
    vendor = deployment.vendor
    policies = [vendor.policy(unique=unique) for _ in range(2)]
    other = deployment.operator(
        "create-product", tenant_id=vendor.tenant_id, code="viewer", name="Viewer"
    )
    elsewhere = vendor.policy(unique=unique, product_id=other["id"])
    code(deployment, vendor.licence(policies[0]))

    second = [vendor.licence(policy) for policy in (policies[0], policies[1], elsewhere)]

    expected = [same_policy, other_policy, other_product]
    assert expected == [code(deployment, licence) for licence in second]


def test_the_first_licence_keeps_its_machine(deployment: Deployment) -> None:
    """A refusal elsewhere does not turn against the licence that was first."""
    trial = deployment.vendor.policy(unique="policy")
    first, second = (deployment.vendor.licence(trial) for _ in range(2))

    codes = [code(deployment, licence) for licence in (first, second, first, second)]

    assert ["VALID", "DEVICE_ALREADY_USED", "VALID", "DEVICE_ALREADY_USED"] == codes
    assert [(1,)] == deployment.sql("SELECT count(*) FROM permit.devices")


def test_a_later_use_elsewhere_takes_nothing_away(deployment: Deployment) -> None:
    """A licence without `unique` seats the machine too: its first licence stays the same."""
    bound, free = (
        deployment.vendor.licence(deployment.vendor.policy(unique=unique))
        for unique in ("product", "none")
    )

    codes = [code(deployment, licence) for licence in (bound, free, bound)]

    assert ["VALID", "VALID", "VALID"] == codes


@pytest.mark.parametrize("ending", ["released by its holder", "released", "blocked", "revoked"])
def test_once_seated_is_ever_seated(deployment: Deployment, ending: str) -> None:
    """Giving the seat back, a block, or the end of the first licence give no second trial."""
    trial = deployment.vendor.policy(unique="policy")
    first, second = (deployment.vendor.licence(trial) for _ in range(2))
    device = deployment.check(first["key"])["device"]
    if ending == "released by its holder":
        deployment.release(first["key"], fingerprint=FINGERPRINT)
    elif ending == "revoked":
        deployment.vendor.command("revoke-licence", first)
    else:
        command = {"released": "release-device", "blocked": "block-device"}[ending]
        deployment.vendor.command(command, first, device_id=device["id"])

    assert "DEVICE_ALREADY_USED" == code(deployment, second)


def test_a_refused_machine_was_not_used(deployment: Deployment) -> None:
    """A device that found no seat under one licence may have its trial under another."""
    trial = deployment.vendor.policy(unique="policy", max_devices=1)
    full, free = (deployment.vendor.licence(trial) for _ in range(2))
    code(deployment, full, "fingerprint-of-another-machine")

    codes = [code(deployment, licence) for licence in (full, free)]

    assert ["TOO_MANY_DEVICES", "VALID"] == codes


@pytest.mark.parametrize("fingerprint", [FINGERPRINT, CHANGED], ids=["before", "after"])
def test_a_changed_machine_gets_no_second_trial(deployment: Deployment, fingerprint: str) -> None:
    """Not with the fingerprint that it left, and not with its new one."""
    trial = deployment.vendor.policy(unique="policy", matching="any")
    first, second = (deployment.vendor.licence(trial) for _ in range(2))
    deployment.check(first["key"], device=PARTS)
    assert "VALID" == code(deployment, first, CHANGED, device=PARTS)

    assert "DEVICE_ALREADY_USED" == code(deployment, second, fingerprint)


def test_a_re_bind_does_not_launder_a_used_machine(deployment: Deployment) -> None:
    """A fingerprint used under another licence cannot slip in as a repair of this one's device."""
    trial = deployment.vendor.policy(unique="policy", matching="any")
    first, second = (deployment.vendor.licence(trial) for _ in range(2))
    code(deployment, first)
    deployment.check(second["key"], CHANGED, device=PARTS)

    assert "DEVICE_ALREADY_USED" == code(deployment, second, FINGERPRINT, device=PARTS)
    assert "VALID" == code(deployment, second, CHANGED)


def test_another_tenant_s_licences_do_not_count(deployment: Deployment) -> None:
    """Two vendors with the same machine know nothing of each other."""
    other = Vendor.create(deployment, email="other@example.com")
    licences = [
        vendor.licence(vendor.policy(unique="product")) for vendor in (deployment.vendor, other)
    ]

    assert ["VALID", "VALID"] == [code(deployment, licence) for licence in licences]


def test_a_block_is_told_before_the_used_machine(deployment: Deployment) -> None:
    """If both reasons apply, the block comes first in the contract."""
    policies = [deployment.vendor.policy(unique=unique) for unique in ("none", "product")]
    later = deployment.vendor.licence(policies[1])
    code(deployment, deployment.vendor.licence(policies[0]))
    deployment.vendor.command("activate-device", later, fingerprint=FINGERPRINT)
    used = deployment.check(later["key"])

    deployment.vendor.command("block-device", later, device_id=used["device"]["id"])

    assert ["DEVICE_ALREADY_USED", "DEVICE_BLOCKED"] == [used["code"], code(deployment, later)]
