"""Tenants and the people of a tenant, as the operator sets them up."""

import secrets
from dataclasses import dataclass, field
from uuid import UUID, uuid4

from permit.errors import InvalidRequest, NotFound
from permit.folding import fold_email
from permit.keys import proof_keys
from permit.operator_access import Operator
from permit.people.credentials import new_email, new_hash
from permit.people.queries import tenants, users
from permit.secrets.sources import SecretSource
from permit.security import passwords


@dataclass(frozen=True, kw_only=True, slots=True)
class NewUser:
    tenant_id: UUID
    user_id: UUID
    email: str
    generated_password: str | None = field(repr=False)  # None where the caller chose it


def create_tenant(
    operator: Operator, master_keys: SecretSource, *, name: str, email: str, password: str | None
) -> NewUser:
    """A tenant with its owner and its first two proof keys, all or nothing."""
    tenant_id, email = uuid4(), new_email(email)
    password_hash, generated = _choose_password(password, email)
    with operator.entered(tenant_id) as database:
        tenants.insert_tenant(database, tenant_id, name=name)
        user_id = tenants.insert_user(
            database, tenant_id, email=email, role="owner", password_hash=password_hash
        )
        proof_keys.add_first_keys(database, master_keys, tenant_id)
    return NewUser(tenant_id=tenant_id, user_id=user_id, email=email, generated_password=generated)


def create_user(
    operator: Operator, tenant_id: UUID, *, email: str, role: str, password: str | None
) -> NewUser:
    email = new_email(email)
    password_hash, generated = _choose_password(password, email)
    user_id = _insert_user(operator, tenant_id, email, role, password_hash)
    return NewUser(tenant_id=tenant_id, user_id=user_id, email=email, generated_password=generated)


def import_user(
    operator: Operator, tenant_id: UUID, *, email: str, role: str, bcrypt_hash: str
) -> NewUser:
    """A user of another system, whose bcrypt hash is replaced at their first login."""
    if not passwords.is_bcrypt(bcrypt_hash):
        raise InvalidRequest(("bcrypt_hash", "must be a bcrypt hash ($2a$, $2b$ or $2y$)"))
    email = new_email(email)
    user_id = _insert_user(operator, tenant_id, email, role, bcrypt_hash)
    return NewUser(tenant_id=tenant_id, user_id=user_id, email=email, generated_password=None)


def set_password(operator: Operator, *, email: str, password: str | None) -> NewUser:
    """Ends every session of the user. Raises NotFound."""
    email = fold_email(email)
    account = tenants.find_account(operator.database, email)
    if account is None:
        raise NotFound
    password_hash, generated = _choose_password(password, email)
    with operator.entered(account.tenant_id) as database:
        tenants.set_password_hash(database, account.tenant_id, account.user_id, password_hash)
    return NewUser(
        tenant_id=account.tenant_id,
        user_id=account.user_id,
        email=email,
        generated_password=generated,
    )


def remove_second_factor(operator: Operator, *, email: str) -> NewUser:
    """For a user who lost it and has no colleague to help; ends their sessions.

    Raises NotFound.
    """
    email = fold_email(email)
    account = tenants.find_account(operator.database, email)
    if account is None:
        raise NotFound
    with operator.entered(account.tenant_id) as database:
        users.remove_factor(database, account.user_id)
    return NewUser(
        tenant_id=account.tenant_id,
        user_id=account.user_id,
        email=email,
        generated_password=None,
    )


def _insert_user(
    operator: Operator, tenant_id: UUID, email: str, role: str, password_hash: str
) -> UUID:
    with operator.entered(tenant_id) as database:
        if not tenants.is_tenant(database, tenant_id):
            raise NotFound
        return tenants.insert_user(
            database, tenant_id, email=email, role=role, password_hash=password_hash
        )


def _choose_password(password: str | None, email: str) -> tuple[str, str | None]:
    """The hash, and the password itself where it was generated here."""
    if password is None:
        generated = secrets.token_urlsafe(15)
        return passwords.hash(generated), generated
    return new_hash(password, email, field="password"), None
