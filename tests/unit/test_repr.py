"""No repr shows a secret, so no log line, traceback or failed assertion does."""

import dataclasses
import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from pydantic import BaseModel

import permit
from permit.contracts import Answer, Contract
from permit.secrets.sources import SecretSource
from tests.support.deployment import PROJECT, Deployment
from tests.support.servers import Server

SECRET = re.compile(
    r"(?:^|_)(?:keys?|tokens?|passwords?|secrets?|credentials|links?|uri|seed|sealed|codes"
    r"|password_hash|bcrypt_hash)$"
)
SHOWN = "shown-in-a-repr"
# Named like a secret, and none.
HARMLESS = {
    ("PublishedKey", "public_key"),
    ("NewApiKey", "api_key"),  # its row, which has a hint of the key
    ("TokenKeys", "keys"),  # each hides its seed
    ("TokenRotation", "secret"),  # where it is
    ("Step", "secret"),  # its ARN
    ("TokenRotationSettings", "token_keys"),  # their ARN
}
VARIABLES = {
    "PERMIT_HEALTH_URL": "http://127.0.0.1/v1/health",
    "PERMIT_TOKEN_KEYS": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:keys",
    "PERMIT_TOKEN_JWKS": "arn:aws:ssm:eu-west-1:123456789012:parameter/keys",
}


@pytest.fixture
def functions(tmp_path: Path) -> list[ModuleType]:
    """The module of each function."""
    server = Server(port=9, function_port=9, log=tmp_path / "none")
    deployment = Deployment(server=server, database="none", folder=tmp_path)
    deployment.write_secrets()
    folders = sorted(path.parent.name for path in (PROJECT / "functions").glob("*/app.py"))
    own = {"probe": ["PERMIT_HEALTH_URL"], "token_rotation": [*VARIABLES]}
    return [
        deployment.start(folder, **{name: VARIABLES[name] for name in own.get(folder, [])})
        for folder in folders
    ]


def layer() -> Iterator[ModuleType]:
    for found in pkgutil.walk_packages(permit.__path__, "permit."):
        yield importlib.import_module(found.name)


def classes(module: ModuleType) -> Iterator[type[Any]]:
    """Those with named fields that the module itself defines."""
    for _, found in inspect.getmembers(module, inspect.isclass):
        is_ours = found.__module__ == module.__name__
        if is_ours and (dataclasses.is_dataclass(found) or issubclass(found, BaseModel | tuple)):
            yield found


def names(cls: type[Any]) -> dict[str, Any]:
    """Of its fields, with their types."""
    if dataclasses.is_dataclass(cls):
        return {field.name: field.type for field in dataclasses.fields(cls)}
    if issubclass(cls, BaseModel):
        return {name: field.annotation for name, field in cls.model_fields.items()}
    return cls.__annotations__


def secrets(cls: type[Any]) -> list[str]:
    return [
        name for name in names(cls) if SECRET.search(name) and (cls.__name__, name) not in HARMLESS
    ]


def filled(cls: type[Any], shown: Iterable[str]) -> Any:
    """An instance that has the word in its `shown` fields, in a source where it is a secret."""
    types = names(cls)
    values: dict[str, Any] = dict.fromkeys(types)
    for name in shown:
        values[name] = SecretSource(SHOWN) if "SecretSource" in str(types[name]) else SHOWN
    if dataclasses.is_dataclass(cls):
        made = object.__new__(cls)
        for name, value in values.items():
            object.__setattr__(made, name, value)
        return made
    return cls.model_construct(**values) if issubclass(cls, BaseModel) else cls(**values)


def test_no_secret_shows_in_a_repr(functions: list[ModuleType]) -> None:
    """For any dataclass, named tuple or model of the layer and of the functions."""
    found = [
        (cls, fields)
        for module in (*layer(), *functions)
        for cls in classes(module)
        if (fields := secrets(cls))
    ]

    showing = [
        f"{cls.__module__}.{cls.__name__}: {', '.join(fields)}"
        for cls, fields in found
        if SHOWN in repr(filled(cls, fields)) + str(filled(cls, fields))
    ]
    assert [] == showing
    # It looks at what there is: rows, what services hand on, settings, requests and answers.
    seen = {cls.__name__ for cls, _ in found}
    assert {"Admission", "Tokens", "OperatorSettings", "LoginRequest", "NewLicenceAnswer"} <= seen


def test_no_request_and_no_answer_shows_a_value(functions: list[ModuleType]) -> None:
    """Whatever a field is called: there are codes, fingerprints and people's addresses as well."""
    contracts = [
        cls
        for module in (*layer(), *functions)
        for cls in classes(module)
        if issubclass(cls, Contract | Answer)
    ]

    assert len(contracts) > 50
    assert [] == [cls.__name__ for cls in contracts if SHOWN in repr(filled(cls, names(cls)))]


@pytest.mark.parametrize("name", ["key", "refresh_token", "new_password", "totp_sealed", "links"])
def test_a_secret_is_known_by_its_name(name: str) -> None:
    """A field of this name that shows in a repr is found: the test above can fail."""
    careless = dataclasses.make_dataclass("Careless", [(name, str)])
    careful = dataclasses.make_dataclass("Careful", [(name, str, dataclasses.field(repr=False))])

    assert [name] == secrets(careless)
    assert SHOWN in repr(filled(careless, [name]))
    assert SHOWN not in repr(filled(careful, [name]))
