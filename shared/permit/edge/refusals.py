"""What the edge refuses before anything is done."""

from collections.abc import Iterable

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
    """No access token or API key, or not a good one: only the log tells which."""

    status = 401
    code = "not_authenticated"
    title = "Sign in first"
    detail = "The request needs a valid access token or API key."

    @property
    def headers(self) -> dict[str, str]:
        return {"WWW-Authenticate": "Bearer"}


class NotPermitted(Refusal):
    """The caller is known, and their role may not do this."""

    status = 403
    code = "not_permitted"
    title = "Your role may not do this"
