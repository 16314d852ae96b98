"""POST /v1/login, /second-factor, /elevate, /refresh, /logout: tokens for people."""

from typing import Annotated, Any, Literal

from permit.contracts import Answer, Composed, Contract, Password, bounded
from permit.db import Database
from permit.edge.api import Api, answer
from permit.edge.payload import Context, Response
from permit.edge.refusals import NotAuthenticated
from permit.people import sign_in
from permit.people.refusals import PROOF_LIFETIME
from permit.people.sign_in import Asked, LoginSecrets
from permit.security import access_tokens
from permit.security.access_tokens import ExpiredToken, InvalidToken
from permit.settings import LoginSettings

Code = Annotated[str, bounded(6, 64)]


class LoginRequest(Contract):
    email: Annotated[str, bounded(3, 254), Composed()]
    """The email that the person signs in with; case and blanks around it do not matter."""
    password: Password
    """The person's password."""


class SecondFactorRequest(Contract):
    mfa_token: Annotated[str, bounded(1, 2048)]
    """What the first step answered with `mfa_required`; good for five minutes."""
    code: Code
    """A code of the authenticator (6 digits, each good once) or a recovery code; blanks and hyphens
    in it do not matter."""


class ElevationRequest(Contract):
    password: Password
    """The person's present password."""
    code: Code | None = None
    """A code of the authenticator or a recovery code. Needed where a second factor is in use; null
    where there is none."""


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


class ElevationAnswer(Answer):
    access_token: str
    """To be used instead of the one that was sent."""
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 (the type's name, RFC 6750)
    """Always `Bearer`."""
    expires_in: int
    """For how many seconds the access token is good."""
    proof_expires_in: int
    """For how many seconds it is a fresh proof of self."""


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
        database, secrets, asked(), email=request.email, password=request.password
    )
    return answer(TokenAnswer.of(tokens))


@api.post("/v1/login/second-factor")
def complete() -> Response:
    """The second step of a login, with a code of the authenticator or a recovery code."""
    request = api.read_body(SecondFactorRequest)
    tokens = sign_in.complete(
        database, secrets, asked(), mfa_token=request.mfa_token, code=request.code
    )
    return answer(TokenAnswer.of(tokens))


@api.post("/v1/login/elevate")
def elevate() -> Response:
    """Show again that it is you, for what an access token alone may not do.

    The access token is sent as for every operation. A login is such a proof too: for ten minutes
    its tokens need no other.
    """
    scheme, _, access_token = api.request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not access_token:
        raise NotAuthenticated
    request = api.read_body(ElevationRequest)
    try:
        elevated = sign_in.elevate(
            database,
            secrets,
            asked(),
            access_token=access_token,
            password=request.password,
            code=request.code,
        )
    except ExpiredToken:
        raise NotAuthenticated("expired") from None
    except InvalidToken:
        raise NotAuthenticated("not valid") from None
    return answer(
        ElevationAnswer(
            access_token=elevated,
            expires_in=int(access_tokens.LIFETIME.total_seconds()),
            proof_expires_in=int(PROOF_LIFETIME.total_seconds()),
        )
    )


@api.post("/v1/login/refresh")
def refresh() -> Response:
    """Replace a refresh token; one that two clients have used ends its session."""
    request = api.read_body(RefreshRequest)
    tokens = sign_in.renew(
        database, settings.token_keys, asked(), refresh_token=request.refresh_token
    )
    return answer(TokenAnswer.of(tokens))


@api.post("/v1/login/logout")
def log_out() -> Response:
    """End a session; 204 whether or not there was one: nothing is told."""
    request = api.read_body(RefreshRequest)
    sign_in.log_out(database, asked(), request.refresh_token)
    return Response(status_code=204)


def asked() -> Asked:
    return Asked(
        address=api.caller_address(),
        request_id=api.request.id,
        issuer=api.base_url(settings.public_url),
    )


def handler(event: dict[str, Any], context: Context) -> dict[str, Any]:
    return api.resolve(event, context)
