"""POST /v1/login, /second-factor, /refresh, /logout: proofs for tokens, the next, and the end."""

from typing import Annotated, Any, Literal

from permit.contracts import Answer, Contract, bounded
from permit.db import Database
from permit.edge.api import Api, answer
from permit.edge.payload import Context, Response
from permit.people import sign_in
from permit.people.sign_in import LoginSecrets
from permit.settings import LoginSettings


class LoginRequest(Contract):
    email: Annotated[str, bounded(3, 254)]
    """The email that the person signs in with, in any case."""
    password: Annotated[str, bounded(1, 256)]
    """The person's password."""


class SecondFactorRequest(Contract):
    mfa_token: Annotated[str, bounded(1, 2048)]
    """What the first step answered with `mfa_required`; good for five minutes."""
    code: Annotated[str, bounded(6, 32)]
    """A code of the authenticator (6 digits, each good once) or a recovery code."""


class RefreshRequest(Contract):
    refresh_token: Annotated[str, bounded(1, 256)]
    """The newest one of the session. Each serves once."""


class TokenAnswer(Answer):
    access_token: str
    """A JWT, to be sent as `Authorization: Bearer …`."""
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 (the type's name, RFC 6750)
    """Always `Bearer`."""
    expires_in: int
    """For how many seconds the access token is good."""
    refresh_token: str
    """For the next access token: it serves once, and its session ends 90 days after the login."""


settings = LoginSettings.from_environment()
database = Database(settings)
api = Api(database, settings.origin_secret)
secrets = LoginSecrets(
    token_keys=settings.token_keys,
    throttle_key=settings.throttle_key,
    master_keys=settings.master_keys,
)


@api.post("/v1/login")
def log_in() -> Response:
    """Sign in: an email and a password for tokens, or for the second step."""
    request = api.read_body(LoginRequest)
    tokens = sign_in.log_in(
        database,
        secrets,
        email=request.email,
        password=request.password,
        address=api.caller_address(),
        issuer=api.base_url(settings.public_url),
    )
    return answer(TokenAnswer.of(tokens))


@api.post("/v1/login/second-factor")
def complete() -> Response:
    """The second step of a login, with a code of the authenticator or a recovery code."""
    request = api.read_body(SecondFactorRequest)
    tokens = sign_in.complete(
        database,
        secrets,
        mfa_token=request.mfa_token,
        code=request.code,
        address=api.caller_address(),
        issuer=api.base_url(settings.public_url),
    )
    return answer(TokenAnswer.of(tokens))


@api.post("/v1/login/refresh")
def refresh() -> Response:
    """Replace a refresh token; one that comes a second time ends its session."""
    request = api.read_body(RefreshRequest)
    tokens = sign_in.renew(
        database,
        settings.token_keys,
        refresh_token=request.refresh_token,
        issuer=api.base_url(settings.public_url),
    )
    return answer(TokenAnswer.of(tokens))


@api.post("/v1/login/logout")
def log_out() -> Response:
    """End a session; 204 whether or not there was one: nothing is told."""
    sign_in.log_out(database, api.read_body(RefreshRequest).refresh_token)
    return Response(status_code=204)


def handler(event: dict[str, Any], context: Context) -> dict[str, Any]:
    return api.resolve(event, context)
