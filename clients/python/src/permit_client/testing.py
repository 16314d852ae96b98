"""A licence server in the test's own process: it signs real proofs, with a key of its own.

    @pytest.fixture
    def licences():
        return FakePermit(product="editor")

Give `licences.arguments` to the `Permit` that your program makes, or take `licences.permit()`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import secrets
import time
from datetime import datetime, timedelta, timezone
from typing import Any, Callable, Optional, Union
from uuid import uuid4

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from permit_client.clock import Reading
from permit_client.hearing import Reply, Trouble
from permit_client.licence_keys import ALPHABET, canonical, key_id
from permit_client.permit import Permit
from permit_client.proofs import PROOF_TYPE, USAGE_TYPE
from permit_client.store import MemoryStore
from permit_client.trust import thumbprint

_WEEK = timedelta(days=7)
_PAYLOAD_SYMBOLS = 28


class FakeClock:
    """Both clocks of a machine, which stand still unless they are moved."""

    def __init__(self) -> None:
        self.wall = float(int(time.time()))
        self.steady = 1000.0

    def __call__(self) -> Reading:
        return Reading(self.wall, self.steady)


class FakeLicence:
    """A licence and its terms: change what a test is about."""

    def __init__(self, product: str, **terms: Any) -> None:
        self.id = str(uuid4())
        self.product = product
        self.entitlements: list[str] = sorted(terms["entitlements"])
        self.seats: Optional[int] = terms["seats"]
        self.lease: timedelta = terms["lease"]
        self.seat_ttl: Optional[timedelta] = terms["seat_ttl"]
        self.starts_at: float = terms["now"]
        self.expires_at: Optional[float] = terms["expires_at"]
        self.grace: timedelta = terms["grace"]
        self.on_expiry: str = terms["on_expiry"]
        self.meters: dict[str, Optional[int]] = dict(terms["meters"])
        self.is_revoked = self.is_suspended = False
        self.blocked: set[str] = set()
        self.devices: dict[str, dict[str, Any]] = {}
        self.used: dict[str, int] = {}
        self.always: Optional[str] = None
        """A code that is the verdict whatever the rest says."""


class FakePermit:
    """Stands in for the server, the network and the clock. By default all devices are this one."""

    def __init__(self, product: str = "editor") -> None:
        self.product = product
        self.clock = FakeClock()
        self.store = MemoryStore()
        self.requests: list[tuple[str, dict[str, Any]]] = []
        """Each path and body that arrived."""
        self._key = Ed25519PrivateKey.generate()
        raw = self._key.public_key().public_bytes_raw()
        self._kid = thumbprint(raw)
        self.keys: dict[str, Any] = {
            "keys": [{"kty": "OKP", "crv": "Ed25519", "x": _b64url(raw), "kid": self._kid}]
        }
        self.tenant = f"https://fake.invalid/v1/tenants/{uuid4()}"
        self._licences: dict[str, FakeLicence] = {}
        self._replaced: set[str] = set()
        self._server_ahead = 0.0
        self._came: Optional[Union[Reply, Trouble]] = None
        self._forge: Optional[Callable[[dict[str, Any], dict[str, Any]], None]] = None
        self._spoils_signature = False

    # ----------------------------------------------------------------------------- the program

    @property
    def arguments(self) -> dict[str, Any]:
        """For `Permit(**arguments)`: everything that a test replaces."""
        return {
            "base_url": "https://fake.invalid",
            "product": self.product,
            "keys": self.keys,
            "transport": self,
            "clock": self.clock,
            "store": self.store,
            "fingerprint": "fake-device-0001",
            "chance": lambda: 1.0,
        }

    def permit(self, **settings: Any) -> Permit:
        """A `Permit` of this server's. A second one is the program after a restart."""
        return Permit(**{**self.arguments, **settings})

    # -------------------------------------------------------------------------------- licences

    def issue(
        self,
        *,
        entitlements: tuple[str, ...] = (),
        seats: Optional[int] = 1,
        lease: timedelta = _WEEK,
        seat_ttl: Optional[timedelta] = None,
        expires_in: Optional[timedelta] = None,
        grace: timedelta = timedelta(),
        on_expiry: str = "block",
        meters: Optional[dict[str, Optional[int]]] = None,
        product: Optional[str] = None,
    ) -> str:
        """A new licence's key."""
        payload = "".join(secrets.choice(ALPHABET) for _ in range(_PAYLOAD_SYMBOLS))
        bits = int.from_bytes(hashlib.sha256(payload.encode()).digest()[:2], "big") >> 6
        symbols = payload + ALPHABET[bits >> 5] + ALPHABET[bits & 31]
        key = "-".join(symbols[i : i + 6] for i in range(0, 30, 6))
        self._licences[key_id(key)] = FakeLicence(
            product or self.product,
            entitlements=entitlements,
            seats=seats,
            lease=lease,
            seat_ttl=seat_ttl,
            now=self.now,
            expires_at=None if expires_in is None else self.now + expires_in.total_seconds(),
            grace=grace,
            on_expiry=on_expiry,
            meters=meters or {},
        )
        return key

    def licence(self, key: str) -> FakeLicence:
        """The terms behind a key, to change them. Raises KeyError."""
        return self._licences[key_id(key)]

    def suspend(self, key: str) -> None:
        self.licence(key).is_suspended = True

    def reinstate(self, key: str) -> None:
        self.licence(key).is_suspended = False

    def revoke(self, key: str) -> None:
        self.licence(key).is_revoked = True

    def expire(self, key: str) -> None:
        self.licence(key).expires_at = self.now

    def replace(self, key: str) -> str:
        """A new key for the licence; the old one answers KEY_REPLACED."""
        new = self.issue()
        self._licences[key_id(new)] = self.licence(key)
        self._replaced.add(key_id(key))
        return new

    def answer_always(self, key: str, code: Optional[str]) -> None:
        """Any verdict that is a no, signed; None: the verdict that is due."""
        self.licence(key).always = code

    def take_seat(self, key: str, name: str = "another laptop") -> None:
        """By another device, which is called so."""
        self.licence(key).devices[hashlib.sha256(os.urandom(8)).hexdigest()] = self._device(name)

    # ------------------------------------------------------------------- network, clock, forgers

    def offline(self, why: str = "offline") -> None:
        """Nothing reaches the server; `why` is a trouble: `timeout`, `tls`, `proxy` …"""
        self._came = Trouble(why, "as the test has it", None, False)

    def busy(self, retry_after: Optional[float] = None) -> None:
        self._came = Reply(503, "application/problem+json", b"{}", retry_after)

    def answer_page(self, text: str = "<html>Welcome to the hotel</html>") -> None:
        """What a captive portal does."""
        self._came = Reply(200, "text/html", text.encode())

    def answer_anything(self, status: int, body: bytes, content_type: str = "") -> None:
        self._came = Reply(status, content_type, body)

    def online(self) -> None:
        """As it should be: reachable, and nobody in between."""
        self._came = self._forge = None
        self._spoils_signature = False

    def forge(self, **claims: Any) -> None:
        """Somebody in between alters these claims, and cannot sign: `forge(valid=True)`."""
        self._forge = lambda _, found: found.update(claims)
        self._spoils_signature = True

    def sign_wrongly(self, **claims: Any) -> None:
        """Signed by the vendor's key, and for something else: `sign_wrongly(dev="…")`."""
        self._forge = lambda _, found: found.update(claims)

    def move_clock(self, *, asleep: bool = False, **duration: float) -> None:
        """Time passes, here and at the server: `move_clock(days=8)`.

        `asleep`: the steady clock stops meanwhile, as some platforms' does in sleep.
        """
        seconds = timedelta(**duration).total_seconds()
        self.clock.wall += seconds
        if not asleep:
            self.clock.steady += seconds

    def set_clock_back(self, **duration: float) -> None:
        """On this machine alone: `set_clock_back(hours=2)`."""
        seconds = timedelta(**duration).total_seconds()
        self.clock.wall -= seconds
        self._server_ahead += seconds

    @property
    def now(self) -> float:
        """The server's time."""
        return self.clock.wall + self._server_ahead

    # ------------------------------------------------------------------------------ the server

    def post(self, path: str, body: bytes, timeout: float) -> Union[Reply, Trouble]:  # noqa: ARG002
        """What a transport does."""
        if self._came is not None:
            return self._came
        request: dict[str, Any] = json.loads(body)
        self.requests.append((path, request))
        routes = {"check": self._check, "release": self._release, "usage": self._usage}
        licence = self._licences.get(key_id(request["key"]))
        answer = routes[path.rpartition("/")[2]](licence, request)
        return Reply(200, "application/json", json.dumps(answer).encode())

    def _check(self, licence: Optional[FakeLicence], request: dict[str, Any]) -> dict[str, Any]:
        if licence is None:
            return self._not_found(request)
        fingerprint = request["device"]["fingerprint"]
        device = hashlib.sha256(fingerprint.encode()).hexdigest()
        code, valid = self.verdict(licence, request, device)
        if valid:
            kept = licence.devices.setdefault(device, self._device(request["device"].get("name")))
            kept["seen"] = self.now
        until = self._until(licence) if valid else self.now + 600
        pause = 600.0
        if valid:
            pause = (until - self.now) * 0.6
            if licence.seat_ttl is not None:
                pause = min(pause, licence.seat_ttl.total_seconds() / 3)
        told = code != "KEY_REPLACED"
        claims = {
            **self._claims(licence, request, code, valid, until),
            "dev": device,
            "ent": licence.entitlements if told else [],
            "licence_expires_at": (_rfc3339(licence.expires_at) or None) if told else None,
            "on_expiry": licence.on_expiry if told else None,
            "nca": int(self.now + pause),
        }
        answer = self._answer(request, code, valid, self._sign(PROOF_TYPE, claims))
        if code == "TOO_MANY_DEVICES" and not valid:
            answer["devices"] = [
                {n: each[n] for n in ("id", "name", "platform", "last_seen_at")}
                for each in self._live(licence).values()
            ]
        return answer

    def verdict(
        self, licence: FakeLicence, request: dict[str, Any], device: str
    ) -> tuple[str, bool]:
        """The server's guards in their order; those that a fake has no terms for are left out."""
        if licence.always is not None:
            return licence.always, False
        ends = licence.expires_at
        is_expired = ends is not None and self.now >= ends
        is_past = ends is not None and self.now >= ends + licence.grace.total_seconds()
        built = request.get("version_date")
        is_covered = ends is None or (built is not None and built <= _rfc3339(ends)[:10])
        live = self._live(licence)
        is_full = licence.seats is not None and len(live) >= licence.seats and device not in live
        guards = (
            ("PRODUCT_MISMATCH", False, request.get("product", licence.product) != licence.product),
            ("KEY_REPLACED", False, key_id(request["key"]) in self._replaced),
            ("REVOKED", False, licence.is_revoked),
            ("SUSPENDED", False, licence.is_suspended),
            ("NOT_STARTED", False, self.now < licence.starts_at),
            ("EXPIRED", False, is_past and licence.on_expiry == "block"),
            (
                "VERSION_NOT_COVERED",
                False,
                is_past and licence.on_expiry == "maintain" and not is_covered,
            ),
            (
                "ENTITLEMENTS_MISSING",
                False,
                not {*request.get("entitlements", ())} <= {*licence.entitlements},
            ),
            ("DEVICE_BLOCKED", False, device in licence.blocked),
            ("TOO_MANY_DEVICES", False, is_full),
            ("EXPIRED", True, is_past),
            ("GRACE", True, is_expired),
        )
        for code, valid, applies in guards:
            if applies:
                return code, valid
        return "VALID", True

    def _release(self, licence: Optional[FakeLicence], request: dict[str, Any]) -> dict[str, Any]:
        if licence is None:
            return {"released": False, "code": "NOT_FOUND", "available_at": None}
        named = hashlib.sha256(request.get("fingerprint", "").encode()).hexdigest()
        gone = [
            device
            for device, each in self._live(licence).items()
            if device == named or each["id"] == request.get("device_id")
        ]
        for device in gone:
            del licence.devices[device]
        code = "RELEASED" if gone else "NOT_ACTIVATED"
        return {"released": bool(gone), "code": code, "available_at": None, "seat_free_at": None}

    def _usage(self, licence: Optional[FakeLicence], request: dict[str, Any]) -> dict[str, Any]:
        if licence is None:
            return self._not_found(request)
        meter, quantity = request["meter"], request["quantity"]
        code, valid = self.verdict(licence, request, next(iter(licence.devices), ""))
        used = limit = None
        is_allowed = False
        if valid and meter not in licence.meters:
            code = "METER_UNKNOWN"
        elif valid:
            used, limit = licence.used.get(meter, 0), licence.meters[meter]
            is_allowed = limit is None or used + quantity <= limit
            if is_allowed:
                licence.used[meter] = used = used + quantity
            else:
                code = "LIMIT_REACHED"
        counted = {
            "allowed": is_allowed,
            "meter": meter,
            "used": used,
            "limit": limit,
            "resets_at": None,
        }
        claims = {**self._claims(licence, request, code, valid, self.now + 600), **counted}
        return {
            **self._answer(request, code, valid, self._sign(USAGE_TYPE, claims)),
            **counted,
        }

    def _claims(
        self,
        licence: FakeLicence,
        request: dict[str, Any],
        code: str,
        valid: bool,
        until: float,
    ) -> dict[str, Any]:
        return {
            "iss": self.tenant,
            "aud": request.get("product", licence.product),
            "prd": licence.product,
            "sub": licence.id,
            "iat": int(self.now),
            "nbf": int(self.now) - 300,
            "exp": int(until),
            "jti": secrets.token_urlsafe(16),
            "valid": valid,
            "code": code,
            "ver": request.get("version_date"),
            "nonce": request.get("nonce"),
        }

    def _sign(self, type_: str, claims: dict[str, Any]) -> str:
        header = {"alg": "EdDSA", "kid": self._kid, "typ": type_}
        if self._forge is not None:
            self._forge(header, claims)
        signed = f"{_encoded(header)}.{_encoded(claims)}"
        signature = bytearray(self._key.sign(signed.encode()))
        if self._spoils_signature:
            signature[0] ^= 1
        return f"{signed}.{_b64url(bytes(signature))}"

    def _until(self, licence: FakeLicence) -> float:
        ends = [self.now + licence.lease.total_seconds()]
        if licence.seat_ttl is not None:
            ends.append(self.now + licence.seat_ttl.total_seconds())
        if licence.expires_at is not None and licence.on_expiry == "block":
            ends.append(licence.expires_at + licence.grace.total_seconds())
        return min(ends)

    def _live(self, licence: FakeLicence) -> dict[str, dict[str, Any]]:
        if licence.seat_ttl is None:
            return licence.devices
        oldest = self.now - licence.seat_ttl.total_seconds()
        return {n: each for n, each in licence.devices.items() if each["seen"] > oldest}

    def _device(self, name: Optional[str]) -> dict[str, Any]:
        return {
            "id": str(uuid4()),
            "name": name,
            "platform": None,
            "last_seen_at": _rfc3339(self.now),
            "seen": self.now,
        }

    def _not_found(self, request: dict[str, Any]) -> dict[str, Any]:
        answer = self._answer(request, "NOT_FOUND", False, None)
        return {**answer, "mistyped": canonical(request["key"]) is None}

    def _answer(
        self,
        request: dict[str, Any],
        code: str,
        valid: bool,
        proof: Optional[str],
    ) -> dict[str, Any]:
        return {
            "valid": valid,
            "code": code,
            "detail": "",
            "checked_at": _rfc3339(self.now),
            "nonce": request.get("nonce"),
            "proof": proof,
        }


def _b64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _encoded(part: dict[str, Any]) -> str:
    return _b64url(json.dumps(part, separators=(",", ":")).encode())


def _rfc3339(seconds: Optional[float]) -> str:
    if seconds is None:
        return ""
    found = datetime.fromtimestamp(int(seconds), timezone.utc)
    return found.isoformat().replace("+00:00", "Z")
