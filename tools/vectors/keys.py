"""docs/vectors/keys.json: licence keys as people type them, and key sets as vendors embed them."""

import hashlib
from collections.abc import Iterator
from typing import Any

from tools.vectors.signing import CURRENT, FOREIGN, KEYS, NEXT, as_json

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def document() -> dict[str, Any]:
    return {
        "about": "Rules: docs/protocol.md, 'A licence key' and 'The keys'. Made by `python -m "
        "tools.vectors`.",
        "licence_keys": [*_licence_keys()],
        "key_sets": [*_key_sets()],
    }


def key_of(payload: str) -> str:
    """With its two check symbols."""
    bits = int.from_bytes(hashlib.sha256(payload.encode()).digest()[:2], "big") >> 6
    return payload + ALPHABET[bits >> 5] + ALPHABET[bits & 31]


KEY = key_of("EXAMP1E0KEY00F0R0THE0VECT0RS")


def _licence_keys() -> Iterator[dict[str, Any]]:
    grouped = "-".join(KEY[i : i + 6] for i in range(0, 30, 6))
    wide = "".join(chr(ord(c) + 0xFEE0) for c in grouped)
    for name, typed in {
        "as it is shown": grouped,
        "without hyphens": KEY,
        "in lower case": grouped.lower(),
        "O for 0": grouped.replace("0", "O"),
        "l for 1": grouped.replace("1", "l"),
        "I for 1": grouped.replace("1", "I"),
        "blanks for hyphens": grouped.replace("-", " "),
        "blanks around": f"  {grouped}\t",
        "wrapped by a mail": f"{grouped[:17]}\r\n{grouped[17:]}",
        "dashes of a word processor": grouped.replace("-", "\u2013"),
        "minus signs": grouped.replace("-", "\u2212"),
        "no-break blanks": grouped.replace("-", "\u00a0"),
        "soft hyphens": grouped.replace("-", "\u00ad-"),
        "a zero-width blank, and a byte order mark": f"\ufeff{grouped}\u200b",
        "marks of direction": f"\u202a{grouped}\u202c",
        "full width": wide,
        "full width, in lower case": wide.lower(),
        "the long vowel mark of a Japanese keyboard": grouped.replace("-", "\u30fc"),
        "a variation selector": f"{grouped}\ufe0f",
        "no hyphen where it belongs": f"{KEY[:1]}-{KEY[1:]}",
    }.items():
        yield {"name": name, "kind": "good", "typed": typed, "canonical": KEY}
    wrong = KEY[:-1] + ALPHABET[ALPHABET.index(KEY[-1]) ^ 1]
    for name, typed in {
        "a wrong check symbol": wrong,
        "two symbols exchanged": KEY[1] + KEY[0] + KEY[2:],
        "a symbol too few": KEY[:-1],
        "a symbol too many": f"{KEY}0",
        "nothing": "",
        "hyphens alone": "-----",
        "U, which no key has": f"U{KEY[1:]}",
        "a Cyrillic A": KEY.replace("A", "\u0410", 1),
        "a Greek E": KEY.replace("E", "\u0395", 1),
        "an Arabic digit": KEY.replace("0", "\u0660", 1),
        "a NUL": f"{KEY}\0",
        "an underscore": f"{KEY[:6]}_{KEY[6:]}",
        "quotes": f'"{KEY}"',
        "a combining accent": f"{KEY[:3]}\u0301{KEY[3:]}",
        "an emoji": f"{KEY}\U0001f600",
        "zeros": "0" * 30,
        "a fraction slash": f"{KEY[:6]}\u2044{KEY[6:]}",
        "a dotless i for 1": KEY.replace("1", "\u0131", 1),
    }.items():
        yield {"name": name, "kind": "hostile", "typed": typed, "canonical": None}


def _key_sets() -> Iterator[dict[str, Any]]:
    def vector(kind: str, name: str, keys: Any) -> dict[str, Any]:
        return {"name": name, "kind": kind, "key_set": keys, "accepted": kind == "good"}

    current = CURRENT.jwk
    yield vector("good", "current and next", KEYS)
    yield vector("good", "one key", {"keys": [current]})
    yield vector(
        "good", "without what is optional", {"keys": [{n: current[n] for n in ("kty", "crv", "x")}]}
    )
    yield vector("good", "with its issuer", {**KEYS, "issuer": "https://x.example/v1/tenants/1"})
    yield vector("good", "an unknown member", {"keys": [{**current, "note": "x"}]})
    refused: dict[str, Any] = {
        "no keys": {"keys": []},
        "no list": {"keys": current},
        "nothing": {},
        "the same key twice": {"keys": [current, current]},
        "another key's kid": {"keys": [{**current, "kid": FOREIGN.kid}]},
        "two keys that exchanged their kids": {
            "keys": [{**current, "kid": NEXT.kid}, {**NEXT.jwk, "kid": CURRENT.kid}]
        },
        "a kid that is no thumbprint": {"keys": [{**current, "kid": "current"}]},
        "a private key": {"keys": [{**current, "d": current["x"]}]},
        "RSA": {"keys": [{"kty": "RSA", "n": "AQAB", "e": "AQAB"}]},
        "a shared secret": {"keys": [{"kty": "oct", "k": current["x"]}]},
        "a curve for something else": {"keys": [{**current, "crv": "X25519"}]},
        "another algorithm": {"keys": [{**current, "alg": "HS256"}]},
        "for encryption": {"keys": [{**current, "use": "enc"}]},
        "an x of 31 bytes": {"keys": [{**current, "x": current["x"][:-2], "kid": None}]},
        "an x with padding": {"keys": [{**current, "x": current["x"] + "="}]},
        "no x": {"keys": [{n: v for n, v in current.items() if n != "x"}]},
        "a key that is a text": {"keys": [as_json(current).decode()]},
    }
    for name, keys in refused.items():
        yield vector("hostile", name, keys)
