"""The operator's commands: what each answers, what each refuses, and what none of them logs."""

import io
import json
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import bcrypt
import pytest

from permit.db import Database
from permit.operator_access import Operator
from permit.people import tenants
from permit.people.refusals import EmailTaken
from permit.settings import OperatorSettings
from tests.support.deployment import Deployment, Vendor

UNKNOWN = str(uuid.UUID(int=1))
FINGERPRINT = "fingerprint-of-a-machine"
BCRYPT = bcrypt.hashpw(b"legacy-pass-1", bcrypt.gensalt(4)).decode()
TENANT_COMMANDS: dict[str, dict[str, Any]] = {
    "create-user": {"email": "a@example.com"},
    "import-user": {"email": "a@example.com", "bcrypt_hash": BCRYPT},
    "create-product": {"code": "viewer", "name": "Viewer"},
    "create-policy": {"product_id": UNKNOWN, "name": "Standard"},
    "create-licence": {"policy_id": UNKNOWN},
    "rotate-proof-key": {},
    "withdraw-proof-key": {"kid": "unknown"},
    "export-tenant": {},
    "erase-tenant": {"name": "Example Ltd"},
}
LICENCE_COMMANDS: dict[str, dict[str, Any]] = {
    "change-licence": {"max_devices": 3},
    "suspend-licence": {},
    "reinstate-licence": {},
    "revoke-licence": {},
    "rotate-licence-key": {"overlap": "P1D"},
    "activate-device": {"fingerprint": FINGERPRINT},
    "block-device": {"device_id": UNKNOWN},
    "unblock-device": {"device_id": UNKNOWN},
    "release-device": {"device_id": UNKNOWN},
}
OTHER_COMMANDS = {
    *("create-tenant", "set-password", "rotate-token-key", "withdraw-token-key"),
    *("rotate-master-key", "help", "remove-second-factor"),
}


@pytest.fixture
def log(deployment: Deployment) -> Iterator[io.StringIO]:
    """What the functions log from here on."""
    stream = io.StringIO()
    handler = deployment.environment("operator").logger.registered_handler
    # Not by setStream, which flushes: the one before may be another test's, and closed.
    before, handler.stream = handler.stream, stream
    yield stream
    handler.stream = before


def test_every_command_is_known_here(deployment: Deployment) -> None:
    """A new command needs a line in the tables of this file."""
    known = {*TENANT_COMMANDS, *LICENCE_COMMANDS, *OTHER_COMMANDS}

    assert known == set(deployment.environment("operator").commands)


@pytest.mark.parametrize(
    ("event", "field"),
    [
        ({"command": "drop-database", "arguments": {}}, "command"),
        ({"command": "", "arguments": {}}, "command"),
        ({"arguments": {}}, "command"),
        ({"command": ["create-tenant"]}, "command"),
        ({"command": "rotate-token-key", "arguments": []}, "arguments"),
        ({"command": "rotate-token-key", "arguments": {"seed": "x"}}, "seed"),
        ({"command": "rotate-token-key", "extra": 1}, "extra"),
        ([], "body"),
    ],
)
def test_what_is_no_command_is_refused(deployment: Deployment, event: Any, field: str) -> None:
    """A problem in the API's shape names what is wrong; nothing is run."""
    answer = deployment.invoke("operator", event)

    assert {"ok", "problem"} == set(answer)
    assert {"type", "title", "status", "detail", "code", "errors"} == set(answer["problem"])
    assert (422, "invalid_request") == (answer["problem"]["status"], answer["problem"]["code"])
    assert [field] == [error["field"] for error in answer["problem"]["errors"]]


TENANT = {"name": "Example", "email": "a@example.com"}


@pytest.mark.parametrize(
    ("command", "arguments", "field"),
    [
        ("create-tenant", {"email": "a@example.com"}, "name"),
        ("create-tenant", {**TENANT, "name": ""}, "name"),
        ("create-tenant", {**TENANT, "name": "a\x00b"}, "name"),
        ("create-tenant", {**TENANT, "name": "\ud800"}, "name"),
        ("create-tenant", {**TENANT, "name": "n" * 201}, "name"),
        ("create-tenant", {**TENANT, "email": "no address"}, "email"),
        ("create-tenant", {**TENANT, "email": "two@at@example.com"}, "email"),
        ("create-tenant", {**TENANT, "email": "ß" * 130 + "@example.com"}, "email"),
        ("create-tenant", {**TENANT, "email": "\x1c@\x1c"}, "email"),
        ("create-tenant", {**TENANT, "password": "too short"}, "password"),
        ("create-tenant", {**TENANT, "password": "password1234"}, "password"),
        ("create-tenant", {**TENANT, "password": "correct\x00horse battery"}, "password"),
        ("create-user", {"role": "root"}, "role"),
        ("create-user", {"tenant_id": "1; DROP TABLE users"}, "tenant_id"),
        ("import-user", {"bcrypt_hash": "$argon2id$v=19$m=19456,t=2,p=1$x$y"}, "bcrypt_hash"),
        ("import-user", {"bcrypt_hash": "legacy-pass-1"}, "bcrypt_hash"),
        ("create-product", {"code": "UPPER"}, "code"),
        ("create-product", {"code": "a"}, "code"),
        ("create-policy", {}, "product_id"),
        ("create-policy", {"duration": "a year"}, "duration"),
        ("create-licence", {}, "policy_id"),
        ("create-licence", {"expires_at": "tomorrow"}, "expires_at"),
        ("create-licence", {"expires_at": "2030-01-01T00:00:00"}, "expires_at"),
        ("create-licence", {"max_devices": -1}, "max_devices"),
        ("change-licence", {"max_devices": True}, "max_devices"),
        ("rotate-licence-key", {"overlap": "P2Y"}, "overlap"),
        ("activate-device", {"fingerprint": "short"}, "fingerprint"),
        ("block-device", {"device_id": "x"}, "device_id"),
        ("rotate-master-key", {"stage": "burn"}, "stage"),
        ("rotate-master-key", {"stage": "drop"}, "version"),
    ],
)
def test_a_bad_argument_is_named(
    deployment: Deployment, command: str, arguments: dict[str, Any], field: str
) -> None:
    """Bad input gets the name of its argument, and changes nothing."""
    if command in TENANT_COMMANDS:
        tenant = {"tenant_id": deployment.vendor.tenant_id}
        arguments = {**tenant, **TENANT_COMMANDS[command], **arguments}
    elif command in LICENCE_COMMANDS:
        licence = {"tenant_id": UNKNOWN, "licence_id": UNKNOWN}
        arguments = {**licence, **LICENCE_COMMANDS[command], **arguments}
    rows = "SELECT count(*) FROM permit.users UNION ALL SELECT count(*) FROM permit.licences"
    before = deployment.sql(rows)

    problem = deployment.refused(command, **arguments)

    assert (422, "invalid_request") == (problem["status"], problem["code"])
    # A union names the alternative that was tried after the field itself.
    assert {field} == {error["field"].split(".")[0] for error in problem["errors"]}
    assert before == deployment.sql(rows)


@pytest.mark.parametrize("command", [*TENANT_COMMANDS, *LICENCE_COMMANDS])
def test_an_unknown_tenant_is_not_found(deployment: Deployment, command: str) -> None:
    """Whatever is asked for a tenant that does not exist is refused, and makes nothing."""
    arguments = {**TENANT_COMMANDS, **LICENCE_COMMANDS}[command]
    licence = {"licence_id": UNKNOWN} if command in LICENCE_COMMANDS else {}

    problem = deployment.refused(command, tenant_id=UNKNOWN, **licence, **arguments)

    assert problem["status"] in (404, 422)
    assert [(0,)] == deployment.sql("SELECT count(*) FROM permit.users")


@pytest.mark.parametrize("command", LICENCE_COMMANDS)
def test_a_foreign_licence_is_not_found(deployment: Deployment, command: str) -> None:
    """One tenant's commands never reach another's licence or device."""
    licence = deployment.vendor.licence()
    device = deployment.check(licence["key"])["device"]["id"]
    other = Vendor.create(deployment, email="other@example.com", code="other")
    arguments = LICENCE_COMMANDS[command]
    if "device_id" in arguments:
        arguments = {"device_id": device}

    problem = deployment.refused(
        command, tenant_id=other.tenant_id, licence_id=licence["id"], **arguments
    )

    assert (404, "not_found") == (problem["status"], problem["code"])
    assert deployment.check(licence["key"])["valid"]


@pytest.mark.parametrize("command", LICENCE_COMMANDS)
def test_a_licence_command_answers_with_the_id(deployment: Deployment, command: str) -> None:
    """What was changed is named in the answer: the licence, or the device."""
    licence = deployment.vendor.licence()
    device = deployment.check(licence["key"])["device"]["id"]
    arguments = LICENCE_COMMANDS[command]
    if "device_id" in arguments:
        arguments = {"device_id": device}

    result = deployment.vendor.command(command, licence, **arguments)

    assert (device if command.endswith("-device") else licence["id"]) == result["id"]


def test_a_tenant_comes_with_its_owner_and_two_keys(deployment: Deployment) -> None:
    """One command makes all that a vendor needs, or nothing at all."""
    created = deployment.operator("create-tenant", **TENANT, password="a staple of horses")

    assert {"tenant_id", "user_id", "email"} == set(created)
    assert [("owner", "a@example.com")] == deployment.sql("SELECT role, email FROM permit.users")
    assert [("current",), ("next",)] == deployment.sql(
        "SELECT state FROM permit.proof_keys ORDER BY state"
    )
    refused = deployment.refused("create-tenant", **TENANT)
    assert (409, "email_taken") == (refused["status"], refused["code"])
    assert [(1,)] == deployment.sql("SELECT count(*) FROM permit.tenants")


def test_an_email_is_one_persons_everywhere(deployment: Deployment) -> None:
    """Kept case-folded, unique across tenants, by whichever command it comes."""
    deployment.operator("create-tenant", name="One", email="Jo@Example.COM")
    other = deployment.operator("create-tenant", name="Two", email="two@example.com")

    for command, arguments in [
        ("create-tenant", {"name": "Three"}),
        ("create-user", {"tenant_id": other["tenant_id"]}),
        ("import-user", {"tenant_id": other["tenant_id"], "bcrypt_hash": BCRYPT}),
    ]:
        problem = deployment.refused(command, email="jO@eXample.com", **arguments)
        assert (409, "email_taken") == (problem["status"], problem["code"])

    emails = deployment.sql("SELECT email FROM permit.users ORDER BY email")
    assert [("jo@example.com",), ("two@example.com",)] == emails


def test_of_two_who_take_an_email_at_once_one_gets_it(deployment: Deployment) -> None:
    """The database decides, not a look before."""
    tenant = deployment.operator("create-tenant", **TENANT)

    def create(_: int) -> str:
        database = Database(OperatorSettings.from_environment(deployment.environ("operator")))
        try:
            tenants.create_user(
                Operator(database=database, command="create-user"),
                uuid.UUID(tenant["tenant_id"]),
                email="b@example.com",
                role="admin",
                password=None,
            )
        except EmailTaken:
            return "taken"
        finally:
            database.close()
        return "created"

    with ThreadPoolExecutor(6) as threads:
        results = sorted(threads.map(create, range(6)))

    assert ["created", *["taken"] * 5] == results


def test_a_generated_password_is_returned_once_and_works(deployment: Deployment) -> None:
    """Where none is given one is made: it signs in, and only its hash is stored."""
    deployment.operator("rotate-token-key")
    created = [deployment.operator("create-tenant", **TENANT)]
    created.append(
        deployment.operator(
            "create-user", tenant_id=created[0]["tenant_id"], email="b@example.com", role="support"
        )
    )
    created.append(deployment.operator("set-password", email="A@example.com"))

    stored = str(deployment.sql("SELECT u::text FROM permit.users AS u"))
    statuses = [
        deployment.send("login", {name: user[name] for name in ("email", "password")}).status
        for user in created
    ]

    assert [401, 200, 200] == statuses  # the first was replaced by the third
    assert not any(user["password"] in stored for user in created)


def test_a_product_code_is_unique_in_its_tenant(deployment: Deployment) -> None:
    """Two tenants may both sell an editor; one may not sell two."""
    vendor = deployment.vendor
    Vendor.create(deployment, email="other@example.com", code="editor")

    problem = deployment.refused(
        "create-product", tenant_id=vendor.tenant_id, code="editor", name="Again"
    )

    assert (409, "product_code_taken") == (problem["status"], problem["code"])


def test_no_secret_is_logged(
    deployment: Deployment, log: io.StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    """The log has neither what the operator sends nor what they get, refused or not."""
    chosen = "a staple of horses"
    tenant = deployment.operator("create-tenant", **TENANT)
    deployment.operator("rotate-token-key")
    deployment.operator("set-password", email=TENANT["email"], password=chosen)
    deployment.refused("create-tenant", **TENANT, password=chosen)
    deployment.refused("create-tenant", **TENANT, password="horses")
    deployment.refused("import-user", tenant_id=UNKNOWN, email="a@example.com", bcrypt_hash=BCRYPT)
    licence = deployment.vendor.licence(holder={"email": "holder@example.com"})
    rotated = deployment.vendor.command("rotate-licence-key", licence)
    deployment.vendor.command("activate-device", licence, fingerprint=FINGERPRINT)
    seeds = json.loads((deployment.folder / "token-keys").read_text())["keys"]

    logged = log.getvalue() + capsys.readouterr().out

    assert "refused" in logged
    secrets = [tenant["password"], chosen, "horses", BCRYPT, licence["key"], rotated["key"]]
    secrets += [TENANT["email"], "holder@example.com", FINGERPRINT, seeds[0]["seed"]]
    assert [] == [secret for secret in secrets if secret in logged]


def test_a_revoked_licence_gets_no_device_by_hand(deployment: Deployment) -> None:
    """A licence that was revoked for good takes no device."""
    licence = deployment.vendor.licence()
    deployment.vendor.command("revoke-licence", licence)

    problem = deployment.refused(
        "activate-device",
        tenant_id=deployment.vendor.tenant_id,
        licence_id=licence["id"],
        fingerprint=FINGERPRINT,
    )

    assert "licence_revoked" == problem["code"]
    assert [(0,)] == deployment.sql("SELECT count(*) FROM permit.devices")
