"""The restore drill, as far as it goes here: a restored database is this machine's own."""

import subprocess
import sys
from pathlib import Path

from tests.emulated.stack import Stack
from tests.emulated.vendor import Vendor
from tests.support.sam_template import ROOT

STAGE = "permit-drill"


def test_drill_restores_checks_and_clears_up(stack: Stack, built: Path, vendor: Vendor) -> None:
    """A licence of the source is valid in the stage; of the stage nothing is left."""
    aws = stack.aws
    rds = aws.client("rds")
    rds.create_db_cluster_snapshot(
        DBClusterIdentifier=stack.outputs["DatabaseId"], DBClusterSnapshotIdentifier="nightly"
    )
    kept = left(stack)
    command = [
        *(sys.executable, "-m", "tools.restore_drill", stack.name, STAGE),
        *("--template", built / "template.yaml"),
        *("--api", f"{aws.endpoint}/_aws/execute-api/{{id}}/$default"),
    ]

    drill = subprocess.run(
        command,
        cwd=ROOT,
        env={**aws.environ(), "PERMIT_LICENCE_KEY": vendor.another_key()},
        capture_output=True,
        text=True,
        check=False,
    )

    assert 0 == drill.returncode, drill.stdout + drill.stderr
    assert "cluster-snapshot:nightly into permit-drill" in drill.stdout
    assert f"a licence of tenant {vendor.tenant_id} is valid" in drill.stdout
    assert kept == left(stack)


def left(stack: Stack) -> dict[str, set[str]]:
    """All that a stack could leave."""
    aws = stack.aws
    snapshots = aws.client("rds").describe_db_cluster_snapshots()["DBClusterSnapshots"]
    return {
        "secrets": {s["ARN"] for s in aws.client("secretsmanager").list_secrets()["SecretList"]},
        "parameters": {p["Name"] for p in aws.client("ssm").describe_parameters()["Parameters"]},
        "snapshots": {each["DBClusterSnapshotIdentifier"] for each in snapshots},
        "functions": set(stack.functions()),
    }
