"""`make emulate`: one stack in an emulated account, from its first deployment to its deletion.

The previous version is deployed and used; this one takes over; the tests look at what became of it
and leave it as they found it; the last file deletes it. They run in the order of their names.
"""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.emulated.aws import Aws, deployable, emulated
from tests.emulated.database import OLD_SNAPSHOT, keep
from tests.emulated.stack import Stack
from tests.emulated.vendor import Vendor
from tests.support.artifacts import HOST, find_python
from tests.support.previous import extract, find_previous
from tests.support.sam_template import ROOT

ROTATION_SECONDS = 60


@pytest.fixture(scope="session")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    if find_python() is None:
        pytest.skip("CPython 3.13, which builds the layers, is not on PATH as python3.13")
    with emulated(tmp_path_factory.mktemp("emulated")) as account:
        account.name_newest_extension()
        yield account


@pytest.fixture(scope="session")
def built(aws: Aws) -> Path:
    """What `sam build` makes of this version."""
    return deployable(ROOT, aws.folder / "built", aws.certificates)


@pytest.fixture(scope="session")
def vendor(aws: Aws, built: Path) -> Vendor:
    """Of the stack that this version has taken over from the previous one."""
    before = extract(find_previous(), aws.folder)
    stack = Stack(aws=aws)
    stack.deploy(
        deployable(before, aws.folder / "built-before", aws.certificates),
        Architecture=HOST,
        Deployment="AllAtOnce",
        DeletionProtection="false",
        # The previous version may not ask for the newest.
        SecretsExtension=aws.publish_extension(),
    )
    await_token_key(stack)
    vendor = Vendor.come(stack)
    keep(aws.server, OLD_SNAPSHOT)
    stack.deploy(built, SecretsExtension="")
    return vendor


@pytest.fixture(scope="session")
def stack(vendor: Vendor) -> Stack:
    return vendor.stack


def await_token_key(stack: Stack) -> None:
    """Until the rotation that the deployment began has made the first one."""
    deadline = time.monotonic() + ROTATION_SECONDS
    client = stack.aws.client("secretsmanager")
    while True:
        secret = client.get_secret_value(SecretId=stack.outputs["TokenKeys"])
        if json.loads(secret["SecretString"])["keys"]:
            return
        assert time.monotonic() < deadline, "no token key was made"
        time.sleep(0.5)
