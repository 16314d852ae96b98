"""`Permit`: the one object that a program needs. It carries questions out and answers back."""

from __future__ import annotations

import json
import os
import sys
from _thread import allocate_lock  # `threading` costs a start 1 ms, and a lock is all it needs
from typing import TYPE_CHECKING, Any, Callable, Optional, Union

from permit_client import clock, core
from permit_client.arguments import (
    check_address,
    check_texts,
    open_store,
    own_fingerprint,
    read_build_date,
    read_messages,
)
from permit_client.circuit import Circuit
from permit_client.core import Finding, is_due
from permit_client.digests import sha256
from permit_client.keeping import Keeper
from permit_client.licence import Licence
from permit_client.memory import forget
from permit_client.proofs import Question
from permit_client.strict import b64url_encode
from permit_client.trust import read_keys

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from contextlib import AbstractContextManager
    from datetime import date
    from types import TracebackType

    from permit_client.answers import Device, Released, Usage
    from permit_client.clock import Clock
    from permit_client.hearing import Reply, Trouble
    from permit_client.interfaces import Store, Transport
    from permit_client.renewal import Renewal
    from permit_client.transport import Ca, Proxy
    from permit_client.trust import Keys

_NONCE_BYTES = 24
_RELEASE_TIMEOUT = 5.0


class Permit:
    """Asks about licences of one product, for one installation of a program.

    Raises ValueError or TypeError for what its vendor has got wrong (keys, address, dates); after
    that nothing raises for a network, a disk or a server.

    base_url      the server's address
    product       the product's code
    keys          the vendor's public keys, embedded: a JWKS (mapping or text) or a list of JWKs
    build_date    when this build was made: a date, or `2026-11-22`
    version       the program's own version, for the vendor's statistics
    issuer        compared with the proofs' `iss`, where given (a JWKS may have it as `issuer`)
    store         a folder of one's own, or a Store; by default the platform's own place
    fingerprint   one's own name for this machine (16 to 256 characters); by default the platform's
    components    True: let a policy with `matching` know the machine again by its parts
    device_name   what people call this machine, for lists; personal data as a rule, so not sent
                  unless given
    entitlements  what this program cannot run without
    messages      sentences in place of ours, by `answer` or `answer.why`
    keep_key      True: the licence key is kept in the store, so that `check()` needs none
    proxy, ca     as `permit_client.transport.Http` has them
    timeout       seconds that a request may take in all
    transport, clock, chance   for tests
    """

    def __init__(
        self,
        base_url: str,
        *,
        product: str,
        keys: Keys,
        build_date: Union[str, date, None] = None,
        version: Optional[str] = None,
        issuer: Optional[str] = None,
        store: Union[str, os.PathLike[str], Store, None] = None,
        fingerprint: Optional[str] = None,
        components: bool = False,
        device_name: Optional[str] = None,
        entitlements: Iterable[str] = (),
        messages: Optional[dict[str, str]] = None,
        keep_key: bool = False,
        proxy: Proxy = None,
        ca: Ca = None,
        timeout: float = 10.0,
        transport: Optional[Transport] = None,
        clock: Clock = clock.read,
        chance: Optional[Callable[[], float]] = None,
    ) -> None:
        check_texts(product=product, version=version, device_name=device_name)
        trust = read_keys(keys)
        device = own_fingerprint(fingerprint, product)
        self._base_url = base_url
        self._proxy, self._ca = proxy, ca
        self._transport = transport
        if transport is None:
            check_address(base_url)
        self._fingerprint = device
        self._question = Question(
            trust=trust,
            product=product,
            device=sha256(device.encode()).hex(),
            build_date=read_build_date(build_date),
            issuer=issuer if issuer is not None else trust.issuer,
        )
        self._device = {"fingerprint": device, "platform": sys.platform}
        if device_name is not None:
            self._device["name"] = device_name
        self._with_components = components
        self._version = version
        self._entitlements = sorted(set(entitlements))
        self._messages = read_messages(messages)
        self._keeps_key = keep_key
        self._timeout = timeout
        self._clock = clock
        # What follows changes, under the lock.
        self._lock = allocate_lock()
        self._kept = Keeper(*open_store(store, product, device), self._question)
        self._circuit = Circuit(chance or _chance)
        self._key: Optional[str] = None
        self._asks_anew = False
        self._renewals: list[Renewal] = []

    # ------------------------------------------------------------------------------- licences

    def state(self) -> Licence:
        """What is known, without a network and without waiting for one."""
        if not self._kept.is_read:
            with self._lock:
                self._kept.read()
        return self._licence(self._kept.recall(self._clock()))

    def check(self, key: Optional[str] = None, *, fresh: bool = False) -> Licence:
        """Asks the server when it is due, and otherwise answers from memory.

        `key`: as the customer typed it; None takes the last one, or the one that was kept.
        `fresh`: asks although it is not due, after somebody has pressed a button for it. It waits
        only where the server itself has said for how long to leave it alone, and five minutes at
        most.
        """
        if key is not None and not isinstance(key, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError("key: a text")
        with self._lock:
            self._kept.read()
            key = self._known_key(key)
            if key is None:
                return self._licence(Finding(core.COULD_NOT_CHECK, "no_key"))
            from permit_client.licence_keys import can_be_sent

            if not can_be_sent(key):
                return self._licence(Finding(core.REFUSED, "NOT_FOUND"))
            before, self._key = self._key, key
            found = self._check(key, fresh=fresh or self._asks_anew)
            if found.why == "NOT_FOUND":
                self._key = before  # mistyped: the one before may be right
            return self._licence(found)

    def release(self, device: Union[Device, str, None] = None) -> Released:
        """Gives this machine's seat back; or another's, from a licence's `devices`, or by id."""
        with self._lock:
            self._kept.read()
            from permit_client.answers import Released
            from permit_client.hearing import read_answer

            key = self._known_key(None)
            if key is None:
                return Released(False, "no_key")
            request: dict[str, Any] = {"key": key}
            if device is None:
                request["fingerprint"] = self._fingerprint
            else:
                request["device_id"] = device if isinstance(device, str) else device.id
            came = self._post("/v1/licences/release", request, min(self._timeout, _RELEASE_TIMEOUT))
            answer = read_answer(came)
            if device is None:
                self._after_release(key, answer)
            else:
                self._asks_anew = True  # there may be a seat now
            return _released(answer)

    def use(self, meter: str, quantity: int = 1, *, idempotency_key: Optional[str] = None) -> Usage:
        """Uses a quantity of a meter, if the licence is in force and the limit allows it.

        A request whose answer got lost is sent once more, and counts once.
        """
        from permit_client.answers import Usage, read_time

        with self._lock:
            self._kept.read()
            key = self._known_key(None)
        if key is None:
            return Usage(core.COULD_NOT_CHECK, "no_key", None, self._messages)
        from permit_client.hearing import Trouble
        from permit_client.usage import hear_usage

        nonce = _nonce()
        request: dict[str, Any] = {
            "key": key,
            "meter": meter,
            "quantity": quantity,
            "product": self._question.product,
            "nonce": nonce,
            "idempotency_key": idempotency_key or _nonce(),
        }
        if self._question.build_date is not None:
            request["version_date"] = self._question.build_date
        came = self._post("/v1/licences/usage", request, self._timeout)
        if isinstance(came, Trouble) and came.why == "half_answer":
            came = self._post("/v1/licences/usage", request, self._timeout)
        counted = hear_usage(came, self._question, nonce=nonce, meter=meter)
        return Usage(
            counted.answer,
            counted.why,
            counted.trouble,
            self._messages,
            used=counted.used,
            limit=counted.limit,
            resets_at=read_time(counted.resets_at),
        )

    def seat(
        self, key: Optional[str] = None, *, renew: bool = True
    ) -> AbstractContextManager[Licence]:
        """A floating seat for as long as the block runs: taken, renewed, and given back.

        It is given back too where SIGTERM or SIGHUP ends the program, or Ctrl-C, if the program
        handles these signals as Python does of itself.
        """
        from permit_client.seats import seat

        return seat(self, key, renew=renew)

    def renew_in_background(
        self, key: Optional[str] = None, *, on_change: Optional[Callable[[Licence], None]] = None
    ) -> Renewal:
        """Checks whenever that is due, in a daemon thread of its own, until stopped.

        `on_change` is called from there with each answer that differs from the one before.
        """
        from permit_client.renewal import Renewal

        if key is not None:
            self._key = key
        renewal = Renewal(self, on_change)
        self._renewals.append(renewal)
        return renewal

    @property
    def fingerprint(self) -> str:
        """What the server knows this machine by."""
        return self._fingerprint

    @property
    def store_trouble(self) -> Optional[str]:
        """Why the store cannot be used, or was not; None where it can."""
        return self._kept.trouble

    def seconds_until_due(self) -> float:
        """Until `check` asks the server again; 0: it would now. The resting circuit counts."""
        with self._lock:
            self._kept.read()
            now = self._clock()
            rest = self._circuit.rest(None if self._key is None else _key_id(self._key), now)
            memory = self._kept.memory
            if memory is None or memory.proof is None:
                return rest
            if is_due(memory, now, file_time=self._kept.file_time):
                return rest
            due = core.next_check_at(memory.proof) - core.server_time(memory, now)
            return max(due, rest, 0.0)

    def close(self) -> None:
        """Ends what runs in the background. Nothing is given back."""
        while self._renewals:
            self._renewals.pop().stop()

    def __enter__(self) -> Permit:  # noqa: PYI034 (typing.Self needs Python 3.11)
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.close()

    # ----------------------------------------------------------------------- under the lock

    def _check(self, key: str, *, fresh: bool) -> Finding:
        kept, circuit = self._kept, self._circuit
        kept.look_again()
        # Read before the question, not after the answer: no lease is longer than it was given.
        now = self._clock()
        id_ = _key_id(key)
        mine = kept.memory if kept.memory is not None and kept.memory.key_id == id_ else None
        if not fresh and mine is not None and not is_due(mine, now, file_time=kept.file_time):
            kept.note(now)
            return kept.recall(now)
        if not fresh and circuit.is_unknown(id_, now):
            return Finding(core.REFUSED, "NOT_FOUND")
        from permit_client.hearing import hear

        nonce = _nonce()
        came: Union[Reply, Trouble, None] = circuit.resting(now, for_a_person=fresh)
        is_asked = came is None
        if came is None:
            came = self._post("/v1/licences/check", self._request(key, nonce), self._timeout)
            self._asks_anew = False
        heard = hear(
            came,
            self._question,
            nonce=nonce,
            key_id=id_,
            memory=mine,
            now=now,
            file_time=kept.file_time,
            kept_key=key if self._keeps_key else None,
        )
        if is_asked:
            answered = self._clock()
            circuit.count(heard.trouble, answered, kept.lease_left(answered))
        if heard.finding.why == "NOT_FOUND":
            circuit.set_unknown(id_, now)
        if not heard.is_fresh or heard.memory is None:
            kept.note(now)
        elif heard.finding.allowed or mine is kept.memory or not kept.recall(now).allowed:
            # The refusal of this key leaves the lease of another one alone.
            kept.remember(heard.memory)
        return heard.finding

    def _request(self, key: str, nonce: str) -> dict[str, Any]:
        device: dict[str, Any] = dict(self._device)
        if self._with_components:
            from permit_client.fingerprint import components

            device["components"] = components(self._question.product)
        request: dict[str, Any] = {
            "key": key,
            "product": self._question.product,
            "device": device,
            "nonce": nonce,
        }
        if self._question.build_date is not None:
            request["version_date"] = self._question.build_date
        if self._entitlements:
            request["entitlements"] = self._entitlements
        if self._version is not None:
            request["version"] = self._version
        return request

    def _post(self, path: str, request: Mapping[str, Any], timeout: float) -> Union[Reply, Trouble]:
        if self._transport is None:
            from permit_client import __version__
            from permit_client.transport import Http, user_agent

            self._transport = Http(
                self._base_url,
                proxy=self._proxy,
                ca=self._ca,
                user_agent=user_agent(__version__),
            )
        return self._transport.post(path, json.dumps(request).encode("ascii"), timeout)

    def _known_key(self, key: Optional[str]) -> Optional[str]:
        if key is not None or self._key is not None:
            return key if key is not None else self._key
        return None if self._kept.memory is None else self._kept.memory.key

    def _after_release(self, key: str, answer: Union[dict[str, Any], Trouble]) -> None:
        """No lease may outlive its seat, also where the answer got lost on its way."""
        if isinstance(answer, dict):
            is_kept = answer.get("code") not in ("RELEASED", "NOT_ACTIVATED")
        else:
            is_kept = not answer.was_sent
        if not is_kept:
            self._kept.remember(forget(self._kept.memory, _key_id(key), self._clock()))

    def _licence(self, finding: Finding) -> Licence:
        return Licence(finding, self._messages)


def _released(answer: Union[dict[str, Any], Trouble]) -> Released:
    from permit_client.answers import Released, read_time
    from permit_client.hearing import Trouble

    if isinstance(answer, Trouble):
        return Released(False, answer.why, trouble=answer)
    code = answer.get("code")
    if not isinstance(code, str):
        return Released(False, "nonsense", trouble=Trouble("nonsense"))
    return Released(
        released=code in ("RELEASED", "NOT_ACTIVATED"),
        code=code,
        available_at=read_time(answer.get("available_at")),
        seat_free_at=read_time(answer.get("seat_free_at")),
    )


def _key_id(key: str) -> str:
    from permit_client.licence_keys import key_id

    return key_id(key)


def _nonce() -> str:
    return b64url_encode(os.urandom(_NONCE_BYTES))


def _chance() -> float:
    return int.from_bytes(os.urandom(4), "big") / 2**32
