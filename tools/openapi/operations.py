"""The operations of every function: the vendor's side registers its own, the rest are here."""

import importlib.util
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any
from unittest.mock import patch

from local.processes import PROJECT
from permit.edge.operations import Operation
from permit.edge.refusals import NotAuthenticated
from permit.errors import IdempotencyKeyReused, NotFound, Refusal
from permit.people.refusals import (
    InvalidCode,
    InvalidCredentials,
    InvalidRefreshToken,
    SecondFactorRequired,
    TooManyAttempts,
    WrongProof,
)

_VARIABLES = {
    "PERMIT_DATABASE_HOST": "localhost",
    "PERMIT_DATABASE_USER": "none",
    "PERMIT_DATABASE_PASSWORD": "none",
    **dict.fromkeys(
        (
            *("PERMIT_TOKEN_JWKS", "PERMIT_TOKEN_KEYS", "PERMIT_MASTER_KEYS"),
            *("PERMIT_THROTTLE_KEY", "PERMIT_ANSWER_KEYS"),
        ),
        "none",
    ),
}


@dataclass(frozen=True, kw_only=True)
class Open:
    """An operation outside of a tenant, which a function serves without `operation`."""

    function: str
    method: str
    path: str
    run: str
    request: str | None = None
    answers: tuple[str, ...] = ()
    """One, or several if the answer may have more or fewer fields."""
    status: int = 200
    refuses: tuple[type[Refusal], ...] = ()
    takes_token: bool = False


_OPEN = (
    Open(
        function="licence_check",
        method="POST",
        path="/v1/licences/check",
        run="check",
        request="CheckRequest",
        answers=("CheckAnswer", "FullAnswer", "UnknownKeyAnswer"),
    ),
    Open(
        function="licence_check",
        method="POST",
        path="/v1/licences/release",
        run="release",
        request="ReleaseRequest",
        answers=("ReleaseAnswer", "UnknownKeyRelease"),
    ),
    Open(
        function="licence_check",
        method="POST",
        path="/v1/licences/usage",
        run="use",
        request="UsageRequest",
        answers=("UsageAnswer", "UnknownKeyUsage"),
        refuses=(IdempotencyKeyReused,),
    ),
    Open(
        function="login",
        method="POST",
        path="/v1/login",
        run="log_in",
        request="LoginRequest",
        answers=("TokenAnswer",),
        refuses=(InvalidCredentials, SecondFactorRequired, TooManyAttempts),
    ),
    Open(
        function="login",
        method="POST",
        path="/v1/login/second-factor",
        run="complete",
        request="SecondFactorRequest",
        answers=("TokenAnswer",),
        refuses=(InvalidCode, TooManyAttempts),
    ),
    Open(
        function="login",
        method="POST",
        path="/v1/login/elevate",
        run="elevate",
        request="ElevationRequest",
        answers=("ElevationAnswer",),
        refuses=(NotAuthenticated, WrongProof, TooManyAttempts),
        takes_token=True,
    ),
    Open(
        function="login",
        method="POST",
        path="/v1/login/refresh",
        run="refresh",
        request="RefreshRequest",
        answers=("TokenAnswer",),
        refuses=(InvalidRefreshToken,),
    ),
    Open(
        function="login",
        method="POST",
        path="/v1/login/logout",
        run="log_out",
        request="RefreshRequest",
        status=204,
    ),
    Open(function="jwks", method="GET", path="/.well-known/jwks.json", run="access_token_keys"),
    Open(
        function="jwks",
        method="GET",
        path="/v1/tenants/{tenant_id}/jwks.json",
        run="tenant_keys",
        refuses=(NotFound,),
    ),
    Open(
        function="health", method="GET", path="/v1/health", run="health", answers=("HealthAnswer",)
    ),
)


def operations(function: str) -> Iterator[Operation]:
    module = load(function)
    yield from getattr(module.api, "operations", [])
    for each in _OPEN:
        if each.function == function:
            yield Operation(
                method=each.method,
                path=each.path,
                action=None,
                request=None if each.request is None else getattr(module, each.request),
                query=None,
                answer=_answer(module, each.answers),
                status=each.status,
                creates=False,
                refuses=each.refuses,
                run=getattr(module, each.run),
            )


def takes_token(operation: Operation) -> bool:
    """Whether an access token or an API key is sent with it."""
    by_hand = any(each.takes_token for each in _OPEN if each.path == operation.path)
    return operation.action is not None or by_hand


def _answer(module: ModuleType, names: tuple[str, ...]) -> Any:
    answer: Any = None
    for model in (getattr(module, name) for name in names):
        answer = model if answer is None else answer | model
    return answer


def load(function: str) -> ModuleType:
    """The function's module, imported as at a start; it connects to nothing."""
    path = PROJECT / "functions" / function / "app.py"
    spec = importlib.util.spec_from_file_location(f"described_{function}", path)
    assert spec is not None  # noqa: S101 (it is a file)
    assert spec.loader is not None  # noqa: S101
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where pydantic looks up the names in a model
    with patch.dict(os.environ, _VARIABLES):
        spec.loader.exec_module(module)
    return module
