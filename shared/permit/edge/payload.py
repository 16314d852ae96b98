"""A request and an answer as API Gateway's HTTP API passes them on: payload format 2.0.

https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
"""

import base64
from collections.abc import Mapping
from functools import cached_property
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

_NONE: Mapping[str, str] = MappingProxyType({})


class Context(Protocol):
    """Lambda's context; the edge needs only the time that is left."""

    def get_remaining_time_in_millis(self) -> int: ...


class Request:
    """What the edge reads of an event."""

    def __init__(self, event: Mapping[str, Any]) -> None:
        self._event = event
        self._context: Mapping[str, Any] = event["requestContext"]
        self.method: str = self._context["http"]["method"]
        self.path: str = event["rawPath"]

    @property
    def id(self) -> str:
        return self._context["requestId"]

    @property
    def route(self) -> str:
        """The API's route, such as `ANY /v1/licences/{licence_id}`."""
        return self._context["routeKey"]

    @property
    def host(self) -> str:
        """The API's host name that the caller used."""
        return self._context["domainName"]

    @property
    def source_ip(self) -> str:
        return self._context["http"]["sourceIp"]

    @cached_property
    def headers(self) -> Mapping[str, str]:
        """By name in lower case: API Gateway sends them so, `sam local start-api` does not.

        A test event typed by hand may have none.
        """
        sent: Mapping[str, str] = self._event.get("headers") or {}
        return {name.lower(): text for name, text in sent.items()}

    @property
    def query(self) -> Mapping[str, str]:
        """The parameters; of one that comes twice, both values with a comma between them."""
        return self._event.get("queryStringParameters") or {}

    @property
    def repeated_parameters(self) -> set[str]:
        """Names that come more than once: a comma in `query` may also be a value's own."""
        from urllib.parse import parse_qsl  # no check's cold start needs it

        text = self._event.get("rawQueryString") or ""
        names = [name for name, _ in parse_qsl(text, keep_blank_values=True)]
        return {name for name in names if names.count(name) > 1}

    @property
    def raw_body(self) -> str:
        """As it came, possibly in base64."""
        return self._event.get("body") or ""

    @property
    def body_size(self) -> int:
        """In bytes, as the caller sent it; nothing is decoded."""
        text = self.raw_body
        if self._event.get("isBase64Encoded"):
            return len(text) // 4 * 3 - text[-2:].count("=")
        return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))

    @property
    def is_blank(self) -> bool:
        """Whether there is nothing in the body but blanks, or a byte order mark."""
        try:
            return not self.body.replace("\ufeff", "").strip()
        except ValueError:
            return False

    @property
    def body(self) -> str:
        """As text. Raises ValueError where it is declared to be base64 of UTF-8 and is not."""
        if not self._event.get("isBase64Encoded"):
            return self.raw_body
        return base64.b64decode(self.raw_body).decode()


class Response(NamedTuple):
    """An answer with a body of text, or with none."""

    status_code: int
    content_type: str | None = None
    headers: Mapping[str, str] = _NONE
    body: str | None = None

    @property
    def payload(self) -> dict[str, Any]:
        type_ = {} if self.content_type is None else {"Content-Type": self.content_type}
        return {
            "statusCode": self.status_code,
            "headers": {**type_, **self.headers},
            "body": self.body,
            "isBase64Encoded": False,
        }
