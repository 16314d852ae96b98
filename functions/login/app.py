"""POST /v1/login, /second-factor, /elevate, /refresh, /logout: tokens for people."""

from typing import Annotated, Any, Literal

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.utilities.typing import LambdaContext

from permit.contracts import Answer, Contract, bounded
from permit.db import Database
from permit.edge.api import Api, answer
from permit.edge.refusals import NotAuthenticated
from permit.people import sign_in
from permit.people.refusals import PROOF_LIFETIME
from permit.people.sign_in import Asked, LoginSecrets, Tokens
from permit.security import access_tokens
from permit.security.access_tokens import InvalidToken
from permit.security.throttling import viewer_address
from permit.settings import LoginSettings

Secret = Annotated[str, bounded(1, 256)]
Code = Annotated[str, bounded(6, 64)]


class LoginRequest(Contract):
    email: Annotated[str, bounded(3, 254)]
    """Read without regard to case, and to blanks around it."""
    password: Secret


class SecondFactorRequest(Contract):
    mfa_token: Annotated[str, bounded(1, 2048)]
    """Of the first step's answer; it serves for five minutes."""
    code: Code
    """Of the authenticator, or a recovery code; blanks and hyphens in it do not matter."""


class ElevationRequest(Contract):
    password: Secret
    code: Code | None = None
    """Needed where a second factor is in use: of the authenticator, or a recovery code."""


class RefreshRequest(Contract):
    refresh_token: Annotated[str, bounded(1, 256)]


class TokenAnswer(Answer):
    access_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 (the type's name, RFC 6750)
    expires_in: int
    """Of the access token, in seconds."""
    refresh_token: str


class ElevationAnswer(Answer):
    access_token: str
    """To be used instead of the one that was sent."""
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 (the type's name, RFC 6750)
    expires_in: int
    """Of the access token, in seconds."""
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
def log_in() -> Response[str]:
    """Sign in: an email and a password for tokens, or for the second step."""
    request = api.read_body(LoginRequest)
    tokens = sign_in.log_in(
        database, secrets, asked(), email=request.email, password=request.password
    )
    return answer(_token_answer(tokens))


@api.post("/v1/login/second-factor")
def complete() -> Response[str]:
    """The second step of a login, with a code of the authenticator or a recovery code."""
    request = api.read_body(SecondFactorRequest)
    tokens = sign_in.complete(
        database, secrets, asked(), mfa_token=request.mfa_token, code=request.code
    )
    return answer(_token_answer(tokens))


@api.post("/v1/login/elevate")
def elevate() -> Response[str]:
    """Show again that it is you, for what an access token alone may not do.

    The access token is sent as for every operation. A login is such a proof too: for ten minutes
    its tokens need no other.
    """
    scheme, _, access_token = api.current_event.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
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
    except InvalidToken:
        raise NotAuthenticated from None
    return answer(
        ElevationAnswer(
            access_token=elevated,
            expires_in=int(access_tokens.LIFETIME.total_seconds()),
            proof_expires_in=int(PROOF_LIFETIME.total_seconds()),
        )
    )


@api.post("/v1/login/refresh")
def refresh() -> Response[str]:
    """Replace a refresh token; one that two clients have used ends its session."""
    request = api.read_body(RefreshRequest)
    tokens = sign_in.renew(
        database, settings.token_keys, asked(), refresh_token=request.refresh_token
    )
    return answer(_token_answer(tokens))


@api.post("/v1/login/logout")
def log_out() -> Response[str]:
    """End a session; 204 whether or not there was one: nothing is told."""
    request = api.read_body(RefreshRequest)
    sign_in.log_out(database, asked(), request.refresh_token)
    return Response(status_code=204)


def asked() -> Asked:
    return Asked(
        address=caller_address(),
        request_id=api.current_event.request_context.request_id,
        issuer=api.base_url(settings.public_url),
    )


def caller_address() -> str:
    """The address that attempts are counted by: CloudFront's word only where it proved itself."""
    event = api.current_event
    source_ip = event.request_context.http.source_ip
    if settings.origin_secret is None:
        return source_ip
    return viewer_address(event.headers) or source_ip


def _token_answer(tokens: Tokens) -> TokenAnswer:
    return TokenAnswer(
        access_token=tokens.access_token,
        expires_in=tokens.expires_in,
        refresh_token=tokens.refresh_token,
    )


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return api.resolve(event, context)
