"""What the edge refuses before anything is done."""

from collections.abc import Iterable
from typing import Literal

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
    """No access token or API key was sent, or not a good one: `detail` tells which."""

    status = 401
    code = "not_authenticated"
    title = "Sign in first"

    def __init__(self, fault: Literal["missing", "not valid", "expired"] = "missing") -> None:
        """Why one is not valid, or not any more, only the log tells; an end in time has a cure."""
        super().__init__()
        self.detail = {
            "missing": "Send an access token or an API key: `Authorization: Bearer …`.",
            "not valid": "The access token or API key is not valid, or not any more: sign in "
            "again, or make another key.",
            "expired": "The access token has expired: get another with your refresh token at "
            "/v1/login/refresh, or sign in again.",
        }[fault]
        self._error = {
            "missing": "",
            "not valid": "The access token or API key is not valid",
            "expired": "The access token has expired",
        }[fault]

    @property
    def headers(self) -> dict[str, str]:
        """RFC 6750, section 3: no error where nothing was sent."""
        error = f' error="invalid_token", error_description="{self._error}"'
        return {"WWW-Authenticate": f"Bearer{error if self._error else ''}"}


class NotPermitted(Refusal):
    """The caller is known, and their role may not do this."""

    status = 403
    code = "not_permitted"
    title = "Your role may not do this"

    def __init__(self, action: str, role: str, allowed: Iterable[str]) -> None:
        """`allowed` are the roles that may."""
        super().__init__()
        self.detail = f"`{action}` is for the roles {', '.join(allowed)}, and yours is {role}."
