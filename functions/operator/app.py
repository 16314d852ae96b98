"""Operator commands, invoked without a route by whoever IAM allows.

Event: {"command": "create-tenant", "arguments": {...}}. Answer: {"ok": true, "result": {...}} or
{"ok": false, "problem": {...}} in the shape of the API's problems.
"""

import json
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, NamedTuple

import psycopg
from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import BeforeValidator, Field
from pydantic_core import to_jsonable_python

from permit.check.device_spec import DeviceSpec
from permit.contracts import (
    Contract,
    Email,
    Id,
    Instant,
    Name,
    Overlap,
    Password,
    bounded,
    validate,
)
from permit.db import Database
from permit.edge.api import problem
from permit.errors import AnswerTooLarge, InvalidRequest, Refusal, StatementFailed
from permit.folding import read_email
from permit.keys import proof_keys, rotation
from permit.licences import devices, licences, policies
from permit.licences.queries import products
from permit.licences.terms import Code, LicenceRequest, OwnLimit, PolicyTerms
from permit.operator_access import Operator
from permit.people import export, tenants
from permit.people.callers import UserRole
from permit.people.tenants import NewUser
from permit.security.token_keys import TokenKeys
from permit.settings import OperatorSettings
from permit.sizes import LARGEST_ANSWER

Result = dict[str, Any]


class OperatorRequest(Contract):
    command: str
    arguments: dict[str, Any] = Field(default_factory=dict)


class NewTenant(Contract):
    name: Name
    email: Email
    password: Password | None = None
    """None: one is generated, and returned only now."""


class NewUserArguments(Contract):
    tenant_id: Id
    email: Email
    role: UserRole = "owner"
    password: Password | None = None


class ImportedUser(Contract):
    tenant_id: Id
    email: Email
    role: UserRole = "owner"
    bcrypt_hash: Annotated[str, bounded(1, 100)]


# Of a user who is there: whatever was taken for an email when they came.
KnownEmail = Annotated[
    str,
    BeforeValidator(lambda value: read_email(value) if isinstance(value, str) else value),
    bounded(3, 254),
]


class UserEmail(Contract):
    email: KnownEmail


class NewPassword(Contract):
    email: KnownEmail
    password: Password | None = None


class NewProduct(Contract):
    tenant_id: Id
    code: Code
    name: Name


class NewPolicy(PolicyTerms):
    tenant_id: Id
    product_id: Id


class NewLicence(LicenceRequest):
    tenant_id: Id


class LicenceArguments(Contract):
    tenant_id: Id
    licence_id: Id


class ChangedLicence(LicenceArguments):
    max_devices: OwnLimit = None
    expires_at: Instant | None = None


class RotatedLicenceKey(LicenceArguments):
    overlap: Overlap = "PT0S"
    """For how long the old key still works."""


class ActivatedDevice(LicenceArguments, DeviceSpec):
    pass


class DeviceArguments(LicenceArguments):
    device_id: Id


class TenantArguments(Contract):
    tenant_id: Id


class Export(TenantArguments):
    cursor: Annotated[str, bounded(1, 400)] | None = None
    limit: Annotated[int, Field(ge=1, le=500)] = 500


class Erasure(TenantArguments):
    name: Name
    """The tenant's name, so that a mistyped id erases nobody."""


class Kid(Contract):
    kid: Annotated[str, bounded(1, 100)]


class WithdrawnKey(TenantArguments, Kid):
    pass


class NoArguments(Contract):
    pass


class MasterKeyRotation(Contract):
    stage: Literal["add", "reseal", "drop"]
    version: Annotated[str, bounded(1, 9)] | None = None
    """The version to drop."""


class _Command(NamedTuple):
    contract: type[Contract]
    run: Callable[[Operator, Any], Result]


settings = OperatorSettings.from_environment()
database = Database(settings)
commands: dict[str, _Command] = {}
logger = Logger()


def command(
    name: str, contract: type[Contract]
) -> Callable[[Callable[[Operator, Any], Result]], None]:
    def register(run: Callable[[Operator, Any], Result]) -> None:
        commands[name] = _Command(contract, run)

    return register


@command("create-tenant", NewTenant)
def create_tenant(operator: Operator, arguments: NewTenant) -> Result:
    return _user(tenants.create_tenant(operator, settings.master_keys, **arguments.model_dump()))


@command("create-user", NewUserArguments)
def create_user(operator: Operator, arguments: NewUserArguments) -> Result:
    return _user(tenants.create_user(operator, **arguments.model_dump()))


@command("import-user", ImportedUser)
def import_user(operator: Operator, arguments: ImportedUser) -> Result:
    return _user(tenants.import_user(operator, **arguments.model_dump()))


@command("set-password", NewPassword)
def set_password(operator: Operator, arguments: NewPassword) -> Result:
    return _user(tenants.set_password(operator, **arguments.model_dump()))


@command("remove-second-factor", UserEmail)
def remove_second_factor(operator: Operator, arguments: UserEmail) -> Result:
    return _user(tenants.remove_second_factor(operator, email=arguments.email))


@command("create-product", NewProduct)
def create_product(operator: Operator, arguments: NewProduct) -> Result:
    with operator.entered(arguments.tenant_id) as database:
        product = products.insert_product(database, **arguments.model_dump())
    return asdict(product)


@command("create-policy", NewPolicy)
def create_policy(operator: Operator, arguments: NewPolicy) -> Result:
    with operator.entered(arguments.tenant_id) as database:
        policy = policies.create_policy(
            database, arguments.tenant_id, arguments.product_id, arguments
        )
    return {"id": policy.id, "product_id": policy.product_id, **policies.terms_of(policy)}


@command("create-licence", NewLicence)
def create_licence(operator: Operator, arguments: NewLicence) -> Result:
    with operator.entered(arguments.tenant_id) as database:
        new = licences.issue(database, arguments.tenant_id, arguments)
    shown = ("id", "key_hint", "starts_at", "expires_at")
    return {**{name: getattr(new, name) for name in shown}, "key": new.key}


@command("change-licence", ChangedLicence)
def change_licence(operator: Operator, arguments: ChangedLicence) -> Result:
    given = {"max_devices": arguments.max_devices, "expires_at": arguments.expires_at}
    changes = {name: value for name, value in given.items() if value is not None}
    with operator.entered(arguments.tenant_id) as database:
        licences.change(database, arguments.tenant_id, arguments.licence_id, changes)
    return {"id": arguments.licence_id}


@command("suspend-licence", LicenceArguments)
def suspend_licence(operator: Operator, arguments: LicenceArguments) -> Result:
    with operator.entered(arguments.tenant_id) as database:
        licences.suspend(database, **arguments.model_dump())
    return {"id": arguments.licence_id}


@command("reinstate-licence", LicenceArguments)
def reinstate_licence(operator: Operator, arguments: LicenceArguments) -> Result:
    with operator.entered(arguments.tenant_id) as database:
        licences.reinstate(database, **arguments.model_dump())
    return {"id": arguments.licence_id}


@command("revoke-licence", LicenceArguments)
def revoke_licence(operator: Operator, arguments: LicenceArguments) -> Result:
    with operator.entered(arguments.tenant_id) as database:
        licences.revoke(database, **arguments.model_dump())
    return {"id": arguments.licence_id}


@command("rotate-licence-key", RotatedLicenceKey)
def rotate_licence_key(operator: Operator, arguments: RotatedLicenceKey) -> Result:
    with operator.entered(arguments.tenant_id) as database:
        new = licences.rotate_key(database, **arguments.model_dump())
    return {"id": arguments.licence_id, "key": new.key}


@command("activate-device", ActivatedDevice)
def activate_device(operator: Operator, arguments: ActivatedDevice) -> Result:
    with operator.entered(arguments.tenant_id) as database:
        device = devices.activate_device(database, arguments.licence_id, arguments.as_sent())
    return {"id": device.id}


@command("block-device", DeviceArguments)
def block_device(operator: Operator, arguments: DeviceArguments) -> Result:
    with operator.entered(arguments.tenant_id) as database:
        devices.block_device(database, **arguments.model_dump())
    return {"id": arguments.device_id}


@command("unblock-device", DeviceArguments)
def unblock_device(operator: Operator, arguments: DeviceArguments) -> Result:
    with operator.entered(arguments.tenant_id) as database:
        devices.unblock_device(database, **arguments.model_dump())
    return {"id": arguments.device_id}


@command("release-device", DeviceArguments)
def release_device(operator: Operator, arguments: DeviceArguments) -> Result:
    with operator.entered(arguments.tenant_id) as database:
        devices.release_device(database, **arguments.model_dump())
    return {"id": arguments.device_id}


@command("rotate-proof-key", TenantArguments)
def rotate_proof_key(operator: Operator, arguments: TenantArguments) -> Result:
    proof_keys.rotate(operator, settings.master_keys, arguments.tenant_id)
    return {"tenant_id": arguments.tenant_id}


@command("withdraw-proof-key", WithdrawnKey)
def withdraw_proof_key(operator: Operator, arguments: WithdrawnKey) -> Result:
    proof_keys.withdraw(operator, settings.master_keys, arguments.tenant_id, arguments.kid)
    return {"tenant_id": arguments.tenant_id, "kid": arguments.kid}


@command("export-tenant", Export)
def export_tenant(operator: Operator, arguments: Export) -> Result:
    return asdict(
        export.export(
            operator, arguments.tenant_id, cursor=arguments.cursor, at_most=arguments.limit
        )
    )


@command("erase-tenant", Erasure)
def erase_tenant(operator: Operator, arguments: Erasure) -> Result:
    left = export.erase(operator, arguments.tenant_id, arguments.name)
    return {"erased": left == 0, "licences_left": left}


@command("rotate-token-key", NoArguments)
def rotate_token_key(operator: Operator, arguments: NoArguments) -> Result:
    return _token_keys(
        rotation.rotate_token_keys(settings.token_keys, settings.token_jwks, datetime.now(UTC))
    )


@command("withdraw-token-key", Kid)
def withdraw_token_key(operator: Operator, arguments: Kid) -> Result:
    return _token_keys(
        rotation.withdraw_token_key(
            settings.token_keys, settings.token_jwks, arguments.kid, datetime.now(UTC)
        )
    )


@command("rotate-master-key", MasterKeyRotation)
def rotate_master_key(operator: Operator, arguments: MasterKeyRotation) -> Result:
    resealed = 0
    if arguments.stage == "add":
        keys = rotation.add_master_key(settings.master_keys)
    elif arguments.stage == "reseal":
        keys, resealed = rotation.reseal_under_newest(operator.database, settings.master_keys)
    elif arguments.version is None:
        raise InvalidRequest(("version", "say which version to drop"))
    else:
        keys = rotation.drop_master_key(operator.database, settings.master_keys, arguments.version)
    return {"current": keys.current_version, "versions": sorted(keys.keys), "resealed": resealed}


@command("help", NoArguments)
def list_commands(operator: Operator, arguments: NoArguments) -> Result:
    """Every command, with its arguments."""
    return {
        name: {
            field: "required" if described.is_required() else "optional"
            for field, described in command.contract.model_fields.items()
        }
        for name, command in sorted(commands.items())
    }


def _token_keys(keys: TokenKeys) -> Result:
    return {"keys": [{"kid": key.kid, "signs_from": key.signs_from} for key in keys.keys]}


def _user(user: NewUser) -> Result:
    result: Result = {"tenant_id": user.tenant_id, "user_id": user.user_id, "email": user.email}
    return (
        result
        if user.generated_password is None
        else result | {"password": user.generated_password}
    )


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    database.allow(context.get_remaining_time_in_millis() / 1000 - 1)
    try:
        request = validate(OperatorRequest, event)
        chosen = commands.get(request.command)
        if chosen is None:
            raise InvalidRequest(("command", f"must be one of {', '.join(sorted(commands))}"))
        operator = Operator(database=database, command=request.command)
        run = chosen.run(operator, validate(chosen.contract, request.arguments))
        result = to_jsonable_python(run)
        if len(json.dumps(result)) > LARGEST_ANSWER:
            raise AnswerTooLarge
    except Refusal as refusal:
        logger.info("refused", code=refusal.code, reason=str(refusal))
        return {"ok": False, "problem": problem(refusal)}
    except psycopg.Error as error:
        raise StatementFailed(error) from None
    return {"ok": True, "result": result}
