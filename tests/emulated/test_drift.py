"""`make drift` finds what somebody has changed by hand, and nothing else."""

import subprocess
import sys

from tests.emulated.stack import Stack
from tests.support.sam_template import ROOT


def find_drift(stack: Stack) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tools.drift", stack.name]
    return subprocess.run(
        command, cwd=ROOT, env=stack.aws.environ(), capture_output=True, text=True, check=False
    )


def test_a_stack_as_it_was_deployed_has_not_drifted(stack: Stack) -> None:
    """The first token key, which the rotation has published since, is meant."""
    found = find_drift(stack)

    assert (0, "permit: 0 resources have drifted\n") == (found.returncode, found.stdout)


def test_what_is_changed_by_hand_is_told(stack: Stack) -> None:
    """With its place, and with what it was and is."""
    client = stack.aws.client("lambda")
    client.update_function_configuration(FunctionName="permit-sweep", Timeout=59)
    try:
        found = find_drift(stack)
    finally:
        client.update_function_configuration(FunctionName="permit-sweep", Timeout=10)

    assert 1 == found.returncode
    assert 'permit SweepFunction: MODIFIED\n    /Timeout: deployed "10", now "59"' in found.stdout
