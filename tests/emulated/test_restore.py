"""A snapshot of the previous version is put into the stack, as the runbook says."""

from pathlib import Path

from tests.emulated.aws import ACCOUNT
from tests.emulated.database import OLD_SNAPSHOT, bring_back
from tests.emulated.stack import Stack
from tests.emulated.vendor import Vendor
from tests.support.proxy_double import REGION

SNAPSHOT = f"arn:aws:rds:{REGION}:{ACCOUNT}:cluster-snapshot:permit-to-restore"


def test_restored_database_is_migrated(stack: Stack, built: Path, vendor: Vendor) -> None:
    """Nothing of the code has changed, so that nothing else would migrate it."""
    bring_back(stack.aws.server, OLD_SNAPSHOT)

    stack.deploy(built, SnapshotId=SNAPSHOT, DatabaseId="permit-2")

    assert "permit-2" == stack.outputs["DatabaseId"]
    stack.await_health()
    assert "VALID" == vendor.check().body["code"]
    assert 200 == vendor.log_in().status
