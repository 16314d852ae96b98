"""Verifies a proof: the rules of docs/protocol.md, in their order. Pure: no clock, no file, no net.

Each rule has a reason, which a `NotBelieved` names; the first rule that fails decides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, NamedTuple, Optional, cast

from permit_client.strict import Malformed, b64url_decode, parse_object

if TYPE_CHECKING:
    from permit_client.trust import Trust

PROOF_TYPE = "permit-proof+jwt"
USAGE_TYPE = "permit-usage+jwt"
LEEWAY = 300
"""Seconds by which a clock may be behind the server's."""
_LONGEST = 65_536
_LAST_SECOND = 253_402_300_799  # of the year 9999
_SIGNATURE_BYTES = 64


class NotBelieved(Exception):
    """What came is not a proof for this program. `reason` says which rule it breaks."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Question(NamedTuple):
    """What this program is and has asked: what a proof must be about."""

    trust: Trust
    product: str
    device: Optional[str]
    """SHA-256 of the fingerprint in hexadecimal; None: asked without a device."""
    build_date: Optional[str] = None
    issuer: Optional[str] = None
    """None: not compared, since the keys already belong to one vendor alone."""


class Proof(NamedTuple):
    """The claims of a verified proof. Times are seconds since 1970, by the server's clock."""

    valid: bool
    code: str
    licence_id: str
    issued_at: int
    expires_at: int
    next_check_at: Optional[int]
    entitlements: tuple[str, ...]
    licence_expires_at: Optional[str]
    on_expiry: Optional[str]
    claims: dict[str, Any]
    """All of them, those that this client does not know included."""


def verify(
    text: str,
    question: Question,
    *,
    nonce: str | None = None,
    now: float | None = None,
    type_: str = PROOF_TYPE,
) -> Proof:
    """The proof's claims. Raises NotBelieved.

    `nonce`: the one that was sent; None where none was, or where the proof comes from the store.
    `now`: seconds since 1970; None for an answer to the nonce that was just sent, which is fresh
    whatever this machine's clock says.
    """
    claims = _signed_claims(text, question.trust, type_)
    _check_types(claims, type_)
    if question.issuer is not None and claims["iss"] != question.issuer:
        raise NotBelieved("other_issuer")
    if claims["aud"] != question.product or (
        claims["valid"] and claims.get("prd", question.product) != question.product
    ):
        raise NotBelieved("other_product")
    if type_ == PROOF_TYPE and claims["dev"] != question.device:
        raise NotBelieved("other_device")
    if nonce is not None and claims["nonce"] != nonce:
        raise NotBelieved("other_nonce")
    # Absent: from a server that does not yet bind a proof to the build.
    if "ver" in claims and claims["ver"] != question.build_date:
        raise NotBelieved("other_build")
    if now is not None:
        if max(claims["iat"], claims["nbf"]) > now + LEEWAY:
            raise NotBelieved("from_the_future")
        if claims["exp"] <= now:
            raise NotBelieved("expired")
    return _proof(claims)


def _signed_claims(text: str, trust: Trust, type_: str) -> dict[str, Any]:
    if len(text) > _LONGEST:
        raise NotBelieved("too_large")
    parts = text.split(".")
    if len(parts) != 3 or not all(parts):
        raise NotBelieved("malformed")
    try:
        head, body, signature = (b64url_decode(part) for part in parts)
    except Malformed:
        raise NotBelieved("malformed") from None
    header = _json(head)
    if header.get("alg") != "EdDSA":
        raise NotBelieved("wrong_algorithm")
    if header.get("typ") != type_:
        raise NotBelieved("wrong_type")
    if "crit" in header or "b64" in header:
        raise NotBelieved("unknown_header")
    kid = header.get("kid")
    if not isinstance(kid, str) or not trust.knows(kid):
        raise NotBelieved("unknown_key")
    if len(signature) != _SIGNATURE_BYTES or not trust.signed(
        kid, f"{parts[0]}.{parts[1]}".encode("ascii"), signature
    ):
        raise NotBelieved("bad_signature")
    return _json(body)


def _json(data: bytes) -> dict[str, Any]:
    try:
        return parse_object(data)
    except Malformed:
        raise NotBelieved("bad_json") from None


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_text_or_null(value: object) -> bool:
    return value is None or isinstance(value, str)


def _is_bool(value: object) -> bool:
    return isinstance(value, bool)


def _is_time(value: object) -> bool:
    return type(value) is int and 0 <= value <= _LAST_SECOND


def _is_count_or_null(value: object) -> bool:
    return value is None or (type(value) is int and value >= 0)


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(map(_is_text, cast("list[object]", value)))


_Rules = dict[str, "Callable[[object], bool]"]
_OF_BOTH: _Rules = {
    **dict.fromkeys(("iss", "aud", "prd", "sub", "code"), _is_text),
    **dict.fromkeys(("iat", "nbf", "exp"), _is_time),
    "valid": _is_bool,
    "nonce": _is_text_or_null,
}
_NEEDED: dict[str, _Rules] = {
    PROOF_TYPE: {**_OF_BOTH, "dev": _is_text_or_null, "ent": _is_texts},
    USAGE_TYPE: {
        **_OF_BOTH,
        "allowed": _is_bool,
        "meter": _is_text,
        "used": _is_count_or_null,
        "limit": _is_count_or_null,
    },
}
# A server of another version may leave these out. One that is there must be right.
_IF_PRESENT: _Rules = {
    "jti": _is_text,
    "licence_expires_at": _is_text_or_null,
    "on_expiry": _is_text_or_null,
    "resets_at": _is_text_or_null,
    "ver": _is_text_or_null,
    "nca": _is_time,
    "seq": _is_count_or_null,
    "development": _is_bool,
}


def _check_types(claims: dict[str, Any], type_: str) -> None:
    for name, is_right in _NEEDED[type_].items():
        if name not in claims or not is_right(claims[name]):
            raise NotBelieved("bad_claims")
    for name, is_right in _IF_PRESENT.items():
        if name in claims and not is_right(claims[name]):
            raise NotBelieved("bad_claims")


def _proof(claims: dict[str, Any]) -> Proof:
    return Proof(
        valid=claims["valid"],
        code=claims["code"],
        licence_id=claims["sub"],
        issued_at=claims["iat"],
        expires_at=claims["exp"],
        next_check_at=claims.get("nca"),
        entitlements=tuple(claims.get("ent", ())),
        licence_expires_at=claims.get("licence_expires_at"),
        on_expiry=claims.get("on_expiry"),
        claims=claims,
    )
