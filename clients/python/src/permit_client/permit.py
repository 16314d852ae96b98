"""`Permit`: the one object that a program needs. It carries questions out and answers back."""

from __future__ import annotations

import json
import os
import sys
from _thread import allocate_lock  # `threading` costs a start 1 ms, and a lock is all it needs
from typing import TYPE_CHECKING, Any, Callable, Optional, Protocol, Union

from permit_client import clock, core
from permit_client.core import Finding, is_due, recall
from permit_client.digests import sha256
from permit_client.licence import Licence
from permit_client.memory import Forgotten, Memory, forget, found_newer, newer, read_back, written
from permit_client.proofs import Question
from permit_client.store import ABSENT, OK, FileStore, Kept, MemoryStore, Store, default_folder
from permit_client.strict import b64url_encode
from permit_client.trust import read_keys

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from contextlib import AbstractContextManager
    from datetime import date
    from types import TracebackType

    from permit_client.answers import Device, Released, Usage
    from permit_client.clock import Clock, Reading
    from permit_client.hearing import Reply, Trouble
    from permit_client.renewal import Renewal
    from permit_client.transport import Ca, Proxy
    from permit_client.trust import Keys

_NOTED_EVERY = 600  # seconds between two notes of how late the clock has been
_UNKNOWN_PAUSE = 600  # seconds in which an unknown key is not asked about again
_NONCE_BYTES = 24
_RELEASE_TIMEOUT = 5.0
_LONGEST_FOR_A_PERSON = 300.0  # seconds that `Retry-After` keeps `fresh=True` from asking


class Transport(Protocol):
    """What carries a request to the server."""

    def post(self, path: str, body: bytes, timeout: float) -> Union[Reply, Trouble]:
        """Never raises for a network."""
        ...


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
        _check_texts(product=product, version=version, device_name=device_name)
        trust = read_keys(keys)
        device = _own_fingerprint(fingerprint, product)
        self._base_url = base_url
        self._proxy, self._ca = proxy, ca
        self._transport = transport
        if transport is None:
            _check_address(base_url)
        self._fingerprint = device
        self._question = Question(
            trust=trust,
            product=product,
            device=sha256(device.encode()).hex(),
            build_date=_read_build_date(build_date),
            issuer=issuer if issuer is not None else trust.issuer,
        )
        self._device = {"fingerprint": device, "platform": sys.platform}
        if device_name is not None:
            self._device["name"] = device_name
        self._with_components = components
        self._version = version
        self._entitlements = sorted(set(entitlements))
        self._messages = _read_messages(messages)
        self._keeps_key = keep_key
        self._timeout = timeout
        self._clock = clock
        self._chance = chance or _chance
        self._store, self._store_trouble = _open_store(store, product, device)
        # What follows changes, under the lock. `state` reads it without: each is replaced whole.
        self._lock = allocate_lock()
        self._memory: Optional[Memory] = None
        self._file_time = 0.0
        self._is_read = False
        self._stamp: object = None
        self._key: Optional[str] = None
        self._asks_anew = False
        self._unknown_key: Optional[str] = None
        self._unknown_until = 0.0  # by the steady clock
        self._failures = 0
        self._last_trouble: Optional[Trouble] = None
        self._rests_until = 0.0  # by the steady clock
        self._told_to_wait_until = 0.0
        self._renewals: list[Renewal] = []

    # ------------------------------------------------------------------------------- licences

    def state(self) -> Licence:
        """What is known, without a network and without waiting for one."""
        if not self._is_read:
            with self._lock:
                self._read()
        return self._licence(recall(self._memory, self._clock(), file_time=self._file_time))

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
            self._read()
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
            self._read()
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
            self._read()
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
        return self._store_trouble

    def seconds_until_due(self) -> float:
        """Until `check` asks the server again; 0: it would now. The resting circuit counts."""
        with self._lock:
            self._read()
            now = self._clock()
            rest = max(self._rests_until - now.steady, 0.0)
            if self._key is not None and _key_id(self._key) == self._unknown_key:
                rest = max(rest, self._unknown_until - now.steady)
            memory = self._memory
            if memory is None or memory.proof is None:
                return rest
            if is_due(memory, now, file_time=self._file_time):
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
        self._look_again()
        now = self._clock()
        id_ = _key_id(key)
        memory = self._memory
        mine = memory if memory is not None and memory.key_id == id_ else None
        if not fresh and mine is not None and not is_due(mine, now, file_time=self._file_time):
            self._note(now)
            return recall(mine, now, file_time=self._file_time)
        if not fresh and id_ == self._unknown_key and now.steady < self._unknown_until:
            return Finding(core.REFUSED, "NOT_FOUND")
        from permit_client.hearing import hear

        nonce = _nonce()
        came: Union[Reply, Trouble, None] = self._resting(now, fresh=fresh)
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
            # Before the question, not after the answer: a lease is never longer than it was given.
            now=now,
            file_time=self._file_time,
            kept_key=key if self._keeps_key else None,
        )
        if is_asked:
            self._count(heard.trouble)
        if heard.finding.why == "NOT_FOUND":
            self._unknown_key, self._unknown_until = id_, now.steady + _UNKNOWN_PAUSE
        if not heard.is_fresh or heard.memory is None:
            self._note(now)
        elif heard.finding.allowed or mine is memory or not self._holds(now):
            self._remember(heard.memory)
        return heard.finding

    def _holds(self, now: Reading) -> bool:
        """Whether the lease of another key holds, which the refusal of this one leaves alone."""
        return recall(self._memory, now, file_time=self._file_time).allowed

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

    def _resting(self, now: Reading, *, fresh: bool) -> Optional[Trouble]:
        """The last trouble, while the server is left alone because of it."""
        until = self._told_to_wait_until if fresh else self._rests_until
        return self._last_trouble if now.steady < until else None

    def _count(self, trouble: Optional[Trouble]) -> None:
        self._last_trouble = trouble
        if trouble is None:
            self._failures, self._rests_until, self._told_to_wait_until = 0, 0.0, 0.0
            return
        self._failures += 1
        from permit_client.hearing import wait_after

        now, left = self._clock(), 0.0
        found = recall(self._memory, now, file_time=self._file_time)
        if self._memory is not None and found.good_until is not None:
            left = found.good_until - core.server_time(self._memory, now)
        wait = wait_after(self._failures, trouble.retry_after, self._chance(), left)
        self._rests_until = now.steady + wait
        if trouble.retry_after is not None:
            told = min(trouble.retry_after, _LONGEST_FOR_A_PERSON)
            self._told_to_wait_until = now.steady + told

    def _known_key(self, key: Optional[str]) -> Optional[str]:
        if key is not None or self._key is not None:
            return key if key is not None else self._key
        return None if self._memory is None else self._memory.key

    def _after_release(self, key: str, answer: Union[dict[str, Any], Trouble]) -> None:
        """No lease may outlive its seat, also where the answer got lost on its way."""
        if isinstance(answer, dict):
            is_kept = answer.get("code") not in ("RELEASED", "NOT_ACTIVATED")
        else:
            is_kept = not answer.was_sent
        if not is_kept:
            self._remember(forget(self._memory, _key_id(key), self._clock()))

    # -------------------------------------------------------------------------------- store

    def _read(self) -> None:
        """What was written down before, once."""
        if self._is_read:
            return
        self._stamp = self._store.stamp()
        self._take(self._store.load())
        self._is_read = True

    def _take(self, kept: Kept) -> None:
        self._file_time = kept.written_at
        if kept.body is None:
            if kept.status != ABSENT:
                self._store_trouble = kept.status
            return
        try:
            found = read_back(kept.body, self._question)
        except Forgotten as reason:
            self._store_trouble = reason.reason
            return
        memory = self._memory
        if memory is None or found.text != memory.text:
            self._memory = found_newer(memory, found)

    def _look_again(self) -> None:
        """Another process of the program may have heard something newer."""
        stamp = self._store.stamp()
        if stamp != self._stamp:
            self._stamp = stamp
            kept = self._store.load()
            self._take(kept)
            if self._memory is not None and self._memory.same_process:
                self._file_time = 0.0

    def _remember(self, memory: Memory) -> None:
        self._memory = memory

        def change(kept: Kept) -> Optional[dict[str, Any]]:
            try:
                theirs = None if kept.body is None else read_back(kept.body, self._question)
            except Forgotten:
                theirs = None
            later = newer(memory, theirs)
            if later is not memory:
                self._memory = later
                return None
            return written(memory)

        self._store_trouble = self._store.update(change)
        if self._store_trouble is not None and (memory.proof is None or not memory.proof.valid):
            # A no that cannot be written must not leave the yes of before behind.
            self._store.discard()
        self._file_time = 0.0
        self._stamp = self._store.stamp()

    def _note(self, now: Reading) -> None:
        """Writes down how late it has been, so that a clock that is set back shows."""
        memory = self._memory
        if memory is None or now.wall < memory.floor + _NOTED_EVERY:
            return
        self._memory = memory = memory.seen_at(now.wall)

        def change(kept: Kept) -> Optional[dict[str, Any]]:
            body = kept.body
            if kept.status != OK or body is None or body.get("key_id") != memory.key_id:
                return None
            seen = body.get("seen")
            if not isinstance(seen, (int, float)) or seen >= now.wall:
                return None
            return {**body, "seen": now.wall}

        self._store.update(change)
        self._stamp = self._store.stamp()

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


def _open_store(
    store: Union[str, os.PathLike[str], Store, None], product: str, device: str
) -> tuple[Store, Optional[str]]:
    if store is None:
        try:
            return FileStore(default_folder(), product, device), None
        except OSError:
            return MemoryStore(), "no_home"
    if isinstance(store, (str, os.PathLike)):
        return FileStore(store, product, device), None
    return store, None


def _own_fingerprint(given: Optional[str], product: str) -> str:
    if given is None:
        from permit_client.fingerprint import fingerprint

        return fingerprint(product)
    if not isinstance(given, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError("fingerprint: a text")
    if not 16 <= len(given) <= 256:
        raise ValueError("fingerprint: 16 to 256 characters; hash what is shorter or longer")
    return given


def _check_texts(**texts: object) -> None:
    limits = {"product": 64, "version": 64, "device_name": 200}
    for name, text in texts.items():
        if text is None and name != "product":
            continue
        if not isinstance(text, str):
            raise TypeError(f"{name}: a text")
        if not 1 <= len(text) <= limits[name]:
            raise ValueError(f"{name}: 1 to {limits[name]} characters")


def _check_address(base_url: str) -> None:
    """Cheaply, at the start; the rest of it when it is first needed."""
    if not isinstance(base_url, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError("base_url: a text")
    if not base_url.startswith("https://"):
        from permit_client.transport import Address

        Address(base_url)


def _read_build_date(given: Union[str, date, None]) -> Optional[str]:
    if given is None or (isinstance(given, str) and _is_day(given)):
        return given
    from datetime import date, datetime, timezone

    if isinstance(given, datetime):
        utc = given if given.tzinfo is None else given.astimezone(timezone.utc)
        return utc.date().isoformat()
    if isinstance(given, date):
        return given.isoformat()
    if not isinstance(given, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError("build_date: a date or `2026-11-22`")
    raise ValueError(f"build_date: {given!r} is not a date like 2026-11-22")


def _is_day(text: str) -> bool:
    """As `date.fromisoformat` says, without the import that it costs a start."""
    year, month, day = text[:4], text[5:7], text[8:]
    digits = year + month + day
    if len(text) != 10 or text[4] + text[7] != "--" or not (digits.isascii() and digits.isdigit()):
        return False
    is_leap = int(year) % 4 == 0 and (int(year) % 100 != 0 or int(year) % 400 == 0)
    days = (31, 29 if is_leap else 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
    return int(year) >= 1 and 1 <= int(month) <= 12 and 1 <= int(day) <= days[int(month) - 1]


def _read_messages(own: Optional[dict[str, str]]) -> dict[str, str]:
    if not own:
        return {}
    from permit_client.messages import check_names

    check_names(own)
    return dict(own)


def _key_id(key: str) -> str:
    from permit_client.licence_keys import key_id

    return key_id(key)


def _nonce() -> str:
    return b64url_encode(os.urandom(_NONCE_BYTES))


def _chance() -> float:
    return int.from_bytes(os.urandom(4), "big") / 2**32
