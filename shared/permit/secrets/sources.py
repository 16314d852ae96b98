"""Secret sources: where a secret comes from, read when it is needed and again as it ages."""

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, TypeVar

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from permit.secrets import aws, files
from permit.security.secret_formats import MalformedSecret

Parsed = TypeVar("Parsed")

_SHORTEST_INTERVAL = 5.0
_logger = logging.getLogger(__name__)


class SecretUnavailable(RuntimeError):
    """A secret cannot be read or written. The message names its variable, never its value."""


class SecretChanged(SecretUnavailable):
    """Somebody else has changed the secret since it was read for this change."""


class _Place(Protocol):
    """What each kind of source can do; every failure is an OSError or a ValueError."""

    @property
    def max_age(self) -> float: ...
    def read(self) -> str: ...
    def read_uncached(self) -> str: ...
    def write(self, value: str) -> None: ...


class SecretSource:
    """One secret, by where it is: an AWS ARN, `file:/path`, or the value itself.

    As a field of a pydantic model it is made from the string and knows its variable's name.
    """

    def __init__(
        self, text: str, *, variable: str = "secret", clock: Callable[[], float] = time.time
    ) -> None:
        # The wall clock: a monotonic one may stand still while Lambda keeps a process frozen.
        self.variable = variable
        self._clock = clock
        self._place = _place(text)
        self._value: str | None = None
        self._read_at = float("-inf")
        self._tried_at = float("-inf")
        self._parsed: tuple[object, Any] = (None, None)  # the value, and what `parse` made of it

    def read(self, *, fresh: bool = False) -> str:
        """The value, read again when it has aged; `fresh` reads again now, every 5 s at most.

        The limit keeps invented key ids from flooding the source; after a failure it keeps each
        request from waiting for the same outage.
        """
        now = self._clock()
        due = fresh or not 0 <= now - self._read_at < self._place.max_age
        if self._value is None or (due and not 0 <= now - self._tried_at < _SHORTEST_INTERVAL):
            return self._refreshed(now)
        return self._value

    def parsed(self, parse: Callable[[str], Parsed], *, fresh: bool = False) -> Parsed:
        """What `parse` makes of the value, kept as long as the value stays the same.

        A MalformedSecret that it raises gets the variable's name.
        """
        origin = (parse, self.read(fresh=fresh))
        if self._parsed[0] != origin:
            self._parsed = (origin, self._named(*origin))
        return self._parsed[1]

    def parsed_for_change(self, parse: Callable[[str], Parsed]) -> Parsed:
        return self._named(parse, self.read_for_change())

    def read_for_change(self) -> str:
        """The value as it is now, past every cache, for a change. Raises SecretUnavailable."""
        try:
            value = self._place.read_uncached()
        except (OSError, ValueError) as error:
            raise SecretUnavailable(f"{self.variable} cannot be read: {error}") from error
        self._keep(value)
        return value

    def write(self, value: str) -> None:
        try:
            self._place.write(value)
        except files.ChangedMeanwhile as error:
            raise SecretChanged(f"{self.variable} cannot be written: {error}") from error
        except (OSError, ValueError) as error:
            raise SecretUnavailable(f"{self.variable} cannot be written: {error}") from error
        self._keep(value)

    def _named(self, parse: Callable[[str], Parsed], value: str) -> Parsed:
        try:
            return parse(value)
        except MalformedSecret as error:
            raise MalformedSecret(f"{self.variable}: {error}") from None

    def _refreshed(self, now: float) -> str:
        self._tried_at = now
        try:
            value = self._place.read()
        except (OSError, ValueError) as error:
            if self._value is None:
                raise SecretUnavailable(f"{self.variable} cannot be read: {error}") from error
            _logger.warning(
                "%s cannot be refreshed, its old value serves: %s", self.variable, error
            )
            return self._value
        self._value, self._read_at = value, now
        return value

    def _keep(self, value: str) -> None:
        self._value = value
        self._read_at = self._tried_at = self._clock()

    def __repr__(self) -> str:
        return f"SecretSource({self.variable})"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_plain_validator_function(_from_field)


def variable_name(field: str) -> str:
    """The environment variable of a settings field."""
    return f"PERMIT_{field.upper()}"


def _from_field(value: object, info: core_schema.ValidationInfo[Any]) -> SecretSource:
    if isinstance(value, SecretSource):
        return value
    if not isinstance(value, str):
        raise ValueError("is not a string")
    return SecretSource(value, variable=variable_name(info.field_name or "secret"))


def _place(text: str) -> _Place:
    if text.startswith("arn:"):
        return aws.parse_arn(text)
    if text.startswith("file:"):
        return files.SecretFile(Path(text.removeprefix("file:")))
    return _Literal(text)


class _Literal:
    max_age = float("inf")

    def __init__(self, value: str) -> None:
        self._value = value

    def read(self) -> str:
        return self._value

    read_uncached = read

    def write(self, value: str) -> None:  # noqa: ARG002 (refused whatever it is)
        raise ValueError("the variable holds the value itself, and a process cannot change it")
