"""What a program is told. Each answer is a value, and false unless the program may run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional

from permit_client import core

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from permit_client.answers import Device
    from permit_client.core import Finding
    from permit_client.hearing import Trouble


class Told:
    """What the answers to a check and to a usage have in common."""

    __slots__ = ("_messages", "answer", "trouble", "why")

    def __init__(
        self, answer: str, why: str, trouble: Trouble | None, messages: Mapping[str, str]
    ) -> None:
        self.answer = answer
        """`allowed`, `refused`, `could_not_check` or `not_believed`."""
        self.why = why
        self.trouble = trouble
        """What prevented a fresh answer, whatever the answer is now; its `detail` is for a log."""
        self._messages = messages

    @property
    def allowed(self) -> bool:
        return self.answer == core.ALLOWED

    @property
    def refused(self) -> bool:
        return self.answer == core.REFUSED

    @property
    def could_not_check(self) -> bool:
        return self.answer == core.COULD_NOT_CHECK

    @property
    def not_believed(self) -> bool:
        return self.answer == core.NOT_BELIEVED

    def __bool__(self) -> bool:
        return self.allowed

    def __repr__(self) -> str:
        trouble = "" if self.trouble is None else f", trouble={self.trouble.why!r}"
        return f"<{type(self).__name__} {self.answer}: {self.why}{trouble}>"


class Licence(Told):
    """The answer to `check` and `state`.

    `why` is, where allowed, `verdict` (fresh from the server) or `lease` (a verdict of before,
    which still holds); where refused, the verdict's code; otherwise the reason.
    """

    __slots__ = ("_finding",)

    def __init__(self, finding: Finding, messages: Mapping[str, str]) -> None:
        super().__init__(finding.answer, finding.why, finding.trouble, messages)
        self._finding = finding

    @property
    def code(self) -> Optional[str]:
        """The last signed verdict's code, such as `VALID` or `REVOKED`."""
        proof = self._finding.proof
        return self.why if proof is None and self.refused else None if proof is None else proof.code

    @property
    def message(self) -> str:
        """A sentence for the customer."""
        from permit_client.messages import sentence

        code = self.code
        is_special = self.allowed and code in ("GRACE", "EXPIRED", "TOO_MANY_DEVICES")
        return sentence(self._messages, self.answer, str(code) if is_special else self.why)

    @property
    def entitlements(self) -> frozenset[str]:
        """What the signed verdict grants; nothing where the answer is not `allowed`."""
        proof = self._finding.proof
        return frozenset(proof.entitlements if self.allowed and proof is not None else ())

    def grants(self, entitlement: str) -> bool:
        return entitlement in self.entitlements

    @property
    def licence_id(self) -> Optional[str]:
        return None if self._finding.proof is None else self._finding.proof.licence_id

    @property
    def licence_expires_at(self) -> Optional[datetime]:
        """The end of the licence. None: it has none, or it is not known."""
        from permit_client.answers import read_time

        proof = self._finding.proof
        return None if proof is None else read_time(proof.licence_expires_at)

    @property
    def good_until(self) -> Optional[datetime]:
        """Until when the program may run without a network, by the server's clock."""
        until = self._finding.good_until
        return None if until is None else _instant(until)

    @property
    def next_check_at(self) -> Optional[datetime]:
        """When `check` asks the server again, by the server's clock."""
        proof = self._finding.proof
        return None if proof is None else _instant(core.next_check_at(proof))

    @property
    def devices(self) -> tuple[Device, ...]:
        """With `TOO_MANY_DEVICES`: those that have the seats, to release one of them."""
        from permit_client.answers import read_devices

        return read_devices(self.unsigned.get("devices"))

    @property
    def unsigned(self) -> Mapping[str, Any]:
        """The rest of a fresh answer, such as `unsigned["licence"]["metadata"]`.

        Nobody has signed it: show it, and decide nothing by it.
        """
        return self._finding.unsigned or {}


def _instant(seconds: float) -> datetime:
    from datetime import datetime, timezone

    return datetime.fromtimestamp(seconds, timezone.utc)
