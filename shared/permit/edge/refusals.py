"""What the edge refuses before anything is done."""

from collections.abc import Iterable
from typing import ClassVar

from permit.errors import Refusal


class UnsupportedMediaType(Refusal):
    """The body is declared to be something other than JSON."""

    status = 415
    code = "unsupported_media_type"
    title = "The body must be JSON"
    detail = "content-type: must be application/json"
    errors = (("content-type", "must be application/json"),)


class UnsupportedEncoding(Refusal):
    """The body is compressed."""

    status = 415
    code = "unsupported_encoding"
    title = "The body must not be compressed"
    detail = "content-encoding: must be left out: send the JSON as it is"
    errors = (("content-encoding", "must be left out: send the JSON as it is"),)

    @property
    def headers(self) -> dict[str, str]:
        return {"Accept-Encoding": "identity"}  # RFC 7694


class BodyTooLarge(Refusal):
    """The body is longer than this route reads."""

    status = 413
    code = "body_too_large"
    title = "The body is too large"

    def __init__(self, largest: int) -> None:
        super().__init__()
        self.detail = f"The body must be at most {largest:,} bytes."


class OriginNotProven(Refusal):
    """The request came directly, and this deployment answers only what CloudFront passes on."""

    status = 403
    code = "origin_not_proven"
    title = "Ask at the public address"


class MethodNotAllowed(Refusal):
    """The path exists and this method does not."""

    status = 405
    code = "method_not_allowed"
    title = "Method not allowed"

    def __init__(self, allowed: Iterable[str]) -> None:
        super().__init__()
        self._allow = ", ".join(sorted(allowed))
        self.detail = f"This path answers {self._allow}."

    @property
    def headers(self) -> dict[str, str]:
        return {"Allow": self._allow}


class NotAuthenticated(Refusal):
    """No access token or API key was sent."""

    status = 401
    code = "not_authenticated"
    title = "Sign in first"
    detail = "Send an access token or an API key: `Authorization: Bearer …`."
    error_description: ClassVar[str | None] = None  # RFC 6750 3: none where nothing was sent

    @property
    def headers(self) -> dict[str, str]:
        if self.error_description is None:
            return {"WWW-Authenticate": "Bearer"}
        error = f'error="invalid_token", error_description="{self.error_description}"'
        return {"WWW-Authenticate": f"Bearer {error}"}


class TokenNotValid(NotAuthenticated):
    """Not a token or key of ours, or one that ended before its time: only the log tells which."""

    detail = (
        "The access token or API key is not valid, or not any more: sign in again, or make another "
        "key."
    )
    error_description = "The access token or API key is not valid"


class TokenExpired(NotAuthenticated):
    """The access token is ours, and its 15 minutes are over."""

    detail = (
        "The access token has expired: get another with your refresh token at /v1/login/refresh, "
        "or sign in again."
    )
    error_description = "The access token has expired"


class NotPermitted(Refusal):
    """The caller is known, and their role may not do this."""

    status = 403
    code = "not_permitted"
    title = "Your role may not do this"

    def __init__(self, action: str, role: str, allowed: Iterable[str]) -> None:
        """`allowed` are the roles that may."""
        super().__init__()
        self.detail = f"`{action}` is for the roles {', '.join(allowed)}, and yours is {role}."
