"""docs/vectors/proofs.json: proofs with what a program expects of them."""

import base64
import hashlib
import hmac
from collections.abc import Iterator
from typing import Any

from tools.vectors.signing import (
    BUILD_DATE,
    CURRENT,
    DAY,
    DEVICE,
    FOREIGN,
    ISSUER,
    KEYS,
    NEXT,
    NONCE,
    NOW,
    PRODUCT,
    as_json,
    b64url,
    claims,
    device_of,
    header,
    jws,
    refusal,
    usage,
)

PROOF, USAGE = "permit-proof+jwt", "permit-usage+jwt"
EXPECTED = {
    "type": PROOF,
    "product": PRODUCT,
    "device": DEVICE,
    "nonce": NONCE,
    "build_date": BUILD_DATE,
    "issuer": ISSUER,
    "now": NOW,
}
_ORDER_OF_THE_GROUP = 2**252 + 27742317777372353535851937790883648493


def document() -> dict[str, Any]:
    return {
        "about": "Rules: docs/protocol.md, 'The proof'. Made by `python -m tools.vectors`.",
        "keys": KEYS,
        "vectors": [*_good(), *_hostile()],
    }


def _good() -> Iterator[dict[str, Any]]:
    def good(name: str, proof: str, **expect: Any) -> dict[str, Any]:
        return _vector("good", name, proof, "accepted", expect)

    yield good("a valid verdict", jws())
    yield good("signed with the next key", jws(key=NEXT))
    yield good("from the store: the nonce is not compared", jws(), nonce=None)
    yield good("a fresh answer: no clock is asked", jws(), now=None)
    yield good("a fresh answer, and a clock that is a year behind", jws(), now=None)
    yield good("the issuer is not compared where none is embedded", jws(), issuer=None)
    yield good("the last second of the lease", jws(), now=NOW + 7 * DAY - 1)
    yield good("a clock five minutes behind", jws(), now=NOW - 300)
    yield good("without a device", jws(body=claims(dev=None)), device=None)
    yield good("without a build date", jws(body=claims(ver=None)), build_date=None)
    yield good("of a server that does not bind the build", jws(body=claims("ver")))
    yield good("of a server that does not say when to ask next", jws(body=claims("nca")))
    yield good(
        "without what may be left out",
        jws(body=claims("ver", "nca", "jti", "licence_expires_at", "on_expiry")),
    )
    yield good("claims of a later server", jws(body=claims(seq=4, development=False, new=[1, {}])))
    yield good("an unknown member of the header", jws(header(note="x")))
    yield good("no entitlements", jws(body=claims(ent=[])))
    yield good("entitlements beyond ASCII", jws(body=claims(ent=["é", "出力", "\U0001f600"])))
    yield good("a licence without an end", jws(body=claims(licence_expires_at=None)))
    yield good("white space in the JSON", jws(body=b" " + as_json(claims()).replace(b",", b" ,\n")))
    yield good(
        "names escaped in the JSON",
        jws(body=as_json(claims()).replace(b'"valid"', b'"\\u0076alid"')),
    )
    deep = as_json(claims())[:-1] + b',"m":' + b"[" * 15 + b"]" * 15 + b"}"
    yield good("nested 16 deep", jws(body=deep))
    yield good("in grace", jws(body=claims(code="GRACE")))
    yield good("expired, and allowed to go on", jws(body=claims(code="EXPIRED")))
    yield good("a code that this client does not know", jws(body=claims(code="VALID_SOMEHOW")))
    for code in ("REVOKED", "SUSPENDED", "EXPIRED", "TOO_MANY_DEVICES", "DEVICE_BLOCKED"):
        yield good(f"refused: {code}", jws(body=refusal(code)))
    yield good("refused: for another product", jws(body=refusal("PRODUCT_MISMATCH", prd="viewer")))
    yield good(
        "refused: the key was replaced",
        jws(body=refusal("KEY_REPLACED", ent=[], licence_expires_at=None, on_expiry=None)),
    )
    for name, body in {
        "a counted usage": usage(),
        "a usage beyond the limit": usage(allowed=False, code="LIMIT_REACHED", used=10),
        "a usage without a limit": usage(limit=None, resets_at=None),
        "a usage of an unknown meter": usage(
            allowed=False, code="METER_UNKNOWN", used=None, limit=None, resets_at=None
        ),
    }.items():
        yield good(name, jws(header(typ=USAGE), body), type=USAGE)


def _hostile() -> Iterator[dict[str, Any]]:
    yield from _about_something_else()
    yield from _at_another_time()
    yield from _algorithms()
    yield from _keys()
    yield from _shapes()
    yield from _json()
    yield from _types()
    yield from _altered()


def _bad(reason: str, name: str, proof: str, **expect: Any) -> dict[str, Any]:
    return _vector("hostile", name, proof, reason, expect)


def _about_something_else() -> Iterator[dict[str, Any]]:
    yield _bad("other_device", "for another device", jws(body=claims(dev=device_of("another one"))))
    yield _bad("other_device", "for no device", jws(body=claims(dev=None)))
    yield _bad("other_device", "the device in upper case", jws(body=claims(dev=DEVICE.upper())))
    yield _bad("other_device", "the device with a blank", jws(body=claims(dev=f"{DEVICE} ")))
    yield _bad("other_device", "for a device, where none was named", jws(), device=None)
    yield _bad("other_product", "for another product", jws(body=claims(aud="viewer")))
    yield _bad("other_product", "the product in another case", jws(body=claims(aud="Editor")))
    yield _bad(
        "other_product",
        "valid, and the licence is another product's",
        jws(body=claims(prd="viewer")),
    )
    yield _bad("other_product", "a product that begins alike", jws(body=claims(aud="editor-lite")))
    yield _bad("other_build", "for an older build", jws(body=claims(ver="2025-09-01")))
    yield _bad("other_build", "for no build", jws(body=claims(ver=None)))
    yield _bad("other_build", "for a build, where none was named", jws(), build_date=None)
    yield _bad(
        "other_build", "the build date with a time", jws(body=claims(ver="2026-09-01T00:00:00Z"))
    )
    yield _bad("other_nonce", "a replay: another nonce", jws(body=claims(nonce="AAAA")))
    yield _bad("other_nonce", "a replay: no nonce", jws(body=claims(nonce=None)))
    yield _bad("other_nonce", "an empty nonce", jws(body=claims(nonce="")))
    yield _bad("other_nonce", "the nonce in upper case", jws(body=claims(nonce=NONCE.upper())))
    yield _bad("other_nonce", "the nonce and more", jws(body=claims(nonce=f"{NONCE}A")))
    yield _bad(
        "other_issuer", "of another tenant", jws(body=claims(iss=ISSUER.replace("01", "02")))
    )
    yield _bad(
        "other_issuer",
        "of another host",
        jws(body=claims(iss=ISSUER.replace("example.com", "example.org"))),
    )
    yield _bad("other_issuer", "the issuer with a slash more", jws(body=claims(iss=f"{ISSUER}/")))
    yield _bad(
        "other_nonce", "a refusal that is replayed", jws(body=refusal("REVOKED", nonce="AAAA"))
    )
    yield _bad("wrong_type", "a usage in place of a check", jws(header(typ=USAGE), usage()))
    yield _bad("wrong_type", "a check in place of a usage", jws(), type=USAGE)
    yield _bad("wrong_type", "an access token", jws(header(typ="at+jwt")))
    yield _bad("wrong_type", "a licence file", jws(header(typ="permit-licence+jwt")))
    yield _bad("wrong_type", "JWT", jws(header(typ="JWT")))
    yield _bad("wrong_type", "the type in upper case", jws(header(typ="PERMIT-PROOF+JWT")))
    yield _bad(
        "wrong_type", "the type as a media type", jws(header(typ="application/permit-proof+jwt"))
    )
    head = header()
    del head["typ"]
    yield _bad("wrong_type", "no type", jws(head))


def _at_another_time() -> Iterator[dict[str, Any]]:
    yield _bad("expired", "the second in which it ends", jws(), now=NOW + 7 * DAY)
    yield _bad("expired", "a year later", jws(), now=NOW + 365 * DAY)
    yield _bad("expired", "ended before it was made", jws(body=claims(exp=NOW - 1)))
    yield _bad("expired", "ended long ago", jws(body=claims(iat=0, nbf=0, exp=1)))
    yield _bad("from_the_future", "made six minutes from now", jws(), now=NOW - 301)
    yield _bad("from_the_future", "begins tomorrow", jws(body=claims(nbf=NOW + DAY)))
    yield _bad("from_the_future", "made tomorrow", jws(body=claims(iat=NOW + DAY, nbf=NOW)))


def _algorithms() -> Iterator[dict[str, Any]]:
    for alg in (
        "none",
        "None",
        "NONE",
        "eddsa",
        "EDDSA",
        "Ed25519",
        "HS256",
        "RS256",
        "ES256",
        "PS256",
        "",
        " EdDSA",
        "EdDSA\0",
        None,
        0,
        ["EdDSA"],
        {"EdDSA": 1},
        True,
    ):
        yield _bad("wrong_algorithm", f"alg {alg!r}, signed all the same", jws(header(alg=alg)))
    head = header()
    del head["alg"]
    yield _bad("wrong_algorithm", "no alg", jws(head))
    signed = f"{b64url(as_json(header(alg='none')))}.{b64url(as_json(claims()))}"
    yield _bad("malformed", "alg none, and an empty signature", f"{signed}.")
    yield _bad("malformed", "alg none, and no signature", signed)
    for name, secret in {
        "the public key's bytes": CURRENT.raw,
        "the public key's base64url": CURRENT.jwk["x"].encode(),
        "the JWK": as_json(CURRENT.jwk),
    }.items():
        signed = f"{b64url(as_json(header(alg='HS256')))}.{b64url(as_json(claims()))}"
        mac = hmac.digest(secret, signed.encode(), "sha256")
        yield _bad("wrong_algorithm", f"HS256 under {name}", f"{signed}.{b64url(mac)}")
    signed = f"{b64url(as_json(header()))}.{b64url(as_json(claims()))}"
    mac = hmac.digest(CURRENT.raw, signed.encode(), "sha512")
    yield _bad(
        "bad_signature", "HMAC-SHA512 under the public key, as EdDSA", f"{signed}.{b64url(mac)}"
    )


def _keys() -> Iterator[dict[str, Any]]:
    yield _bad("unknown_key", "signed by another vendor", jws(key=FOREIGN))
    yield _bad(
        "bad_signature", "signed by another vendor under our kid", jws(header(CURRENT), key=FOREIGN)
    )
    yield _bad(
        "bad_signature",
        "the next key's kid over the current key's signature",
        jws(header(NEXT), key=CURRENT),
    )
    yield _bad(
        "unknown_key",
        "an embedded JWK, and its kid",
        jws(header(FOREIGN, jwk=FOREIGN.jwk), key=FOREIGN),
    )
    yield _bad(
        "bad_signature",
        "an embedded JWK under our kid",
        jws(header(CURRENT, jwk=FOREIGN.jwk), key=FOREIGN),
    )
    yield _bad(
        "unknown_key",
        "a JWKS URL",
        jws(header(FOREIGN, jku="https://evil.example/jwks.json"), key=FOREIGN),
    )
    yield _bad(
        "unknown_key", "a certificate chain", jws(header(FOREIGN, x5c=["MIIB"]), key=FOREIGN)
    )
    for kid in (
        "",
        "../../jwks.json",
        "0",
        None,
        0,
        [CURRENT.kid],
        CURRENT.kid.lower(),
        CURRENT.kid[:-1],
        f"{CURRENT.kid} ",
        "__proto__",
        "constructor",
        "toString",
    ):
        yield _bad("unknown_key", f"kid {str(kid)[:20]!r}", jws(header(kid=kid)))
    head = header()
    del head["kid"]
    yield _bad("unknown_key", "no kid", jws(head))
    yield _bad("unknown_header", "crit", jws(header(crit=["exp"])))
    yield _bad("unknown_header", "an unencoded payload", jws(header(b64=False, crit=["b64"])))


def _shapes() -> Iterator[dict[str, Any]]:
    good = jws()
    head, body, signature = good.split(".")
    yield _bad("malformed", "nothing", "")
    yield _bad("malformed", "two dots", "..")
    yield _bad("malformed", "two parts", f"{head}.{body}")
    yield _bad("malformed", "four parts", f"{good}.{signature}")
    yield _bad("malformed", "five parts, as of an encrypted token", f"{good}.{body}.{signature}")
    yield _bad("malformed", "a dot at the end", f"{good}.")
    yield _bad("malformed", "a dot at the beginning", f".{good}")
    yield _bad("malformed", "padding", f"{head}.{body}.{signature}==")
    yield _bad("malformed", "a line's end", f"{good}\n")
    yield _bad("malformed", "a blank before it", f" {good}")
    yield _bad("malformed", "Bearer", f"Bearer {good}")
    yield _bad("malformed", "base64 with + and /", f"{head}.{body}.+/{signature[2:]}")
    yield _bad("malformed", "a NUL", f"{head}.{body}.{signature}\0")
    yield _bad("malformed", "a letter that looks like A", f"{head}.{body}.\u0410{signature[1:]}")
    yield _bad(
        "malformed",
        "bits beyond the signature's last byte",
        f"{head}.{body}.{signature[:-1]}{_next_symbol(signature[-1])}",
    )
    yield _bad("malformed", "a length that base64 does not have", f"{head}.{body}.{signature}AAA")
    yield _bad(
        "bad_signature",
        "a signature one byte too long",
        f"{head}.{body}.{b64url(_raw(signature) + b'!')}",
    )
    yield _bad(
        "bad_signature",
        "a signature one byte too short",
        f"{head}.{body}.{b64url(_raw(signature)[:-1])}",
    )
    yield _bad("bad_signature", "a signature of zeros", f"{head}.{body}.{b64url(bytes(64))}")
    yield _bad(
        "bad_signature",
        "R and S exchanged",
        f"{head}.{body}.{b64url(_raw(signature)[32:] + _raw(signature)[:32])}",
    )
    s = int.from_bytes(_raw(signature)[32:], "little") + _ORDER_OF_THE_GROUP
    yield _bad(
        "bad_signature",
        "the same signature with S + L",
        f"{head}.{body}.{b64url(_raw(signature)[:32] + s.to_bytes(32, 'little'))}",
    )
    yield _bad(
        "bad_signature",
        "a signature of other claims",
        f"{head}.{b64url(as_json(claims(ent=['export', 'all'])))}.{signature}",
    )
    yield _bad(
        "bad_signature",
        "the claims written in another order",
        f"{head}.{b64url(as_json(dict(reversed(claims().items()))))}.{signature}",
    )
    yield _bad(
        "bad_signature",
        "a signature over the claims alone",
        f"{head}.{body}.{b64url(CURRENT.sign(as_json(claims())))}",
    )
    yield _bad(
        "bad_signature",
        "a signature over the digest",
        f"{head}.{body}.{b64url(CURRENT.sign(hashlib.sha256(f'{head}.{body}'.encode()).digest()))}",
    )
    yield _bad("too_large", "64 KiB and more", jws(body=claims(pad="x" * 65_536)))
    yield _bad(
        "malformed",
        "the claims as JSON, not encoded",
        f"{head}.{as_json(claims()).decode()}.{signature}",
    )
    for part, share in (("header", 10), ("claims", 2), ("signature", -22)):
        cut = {
            "header": head[:share],
            "claims": good[: len(good) // share],
            "signature": good[:-22],
        }
        yield _bad(
            "malformed" if part != "signature" else "bad_signature",
            f"cut off in the {part}",
            cut[part],
        )


def _json() -> Iterator[dict[str, Any]]:
    body = as_json(claims())
    yield _bad("bad_json", "valid twice, first false", jws(body=b'{"valid":false,' + body[1:]))
    yield _bad("bad_json", "valid twice, last false", jws(body=body[:-1] + b',"valid":false}'))
    yield _bad("bad_json", "a name twice, once escaped", jws(body=b'{"\\u0065xp":1,' + body[1:]))
    yield _bad(
        "bad_json", "a name twice within a claim", jws(body=body[:-1] + b',"more":{"a":1,"a":2}}')
    )
    yield _bad("bad_json", "alg twice", jws(as_json(header())[:-1] + b',"alg":"EdDSA"}'))
    yield _bad(
        "bad_json", "alg none, then alg EdDSA", jws(b'{"alg":"none",' + as_json(header())[1:])
    )
    yield _bad("bad_json", "a second object behind the first", jws(body=body + b"{}"))
    yield _bad("bad_json", "text behind the object", jws(body=body + b" x"))
    yield _bad("bad_json", "a NUL behind the object", jws(body=body + b"\0"))
    yield _bad("bad_json", "a list", jws(body=b"[" + body + b"]"))
    yield _bad("bad_json", "null", jws(body=b"null"))
    yield _bad("bad_json", "a text", jws(body=b'"valid"'))
    yield _bad("bad_json", "the header is a list", jws(b"[" + as_json(header()) + b"]"))
    yield _bad("bad_json", "NaN", jws(body=body[:-1] + b',"more":NaN}'))
    yield _bad("bad_json", "Infinity", jws(body=body[:-1] + b',"more":Infinity}'))
    yield _bad("bad_json", "-Infinity", jws(body=body[:-1] + b',"more":-Infinity}'))
    yield _bad(
        "bad_json", "a number beyond what a double holds", jws(body=body[:-1] + b',"m":1e999}')
    )
    yield _bad(
        "bad_json",
        "a number of 5,000 digits",
        jws(body=body[:-1] + b',"more":' + b"9" * 5000 + b"}"),
    )
    yield _bad("bad_json", "a comma too many", jws(body=body[:-1] + b",}"))
    yield _bad("bad_json", "a comment", jws(body=body[:-1] + b"/* */}"))
    yield _bad("bad_json", "single quotes", jws(body=body.replace(b'"valid"', b"'valid'")))
    yield _bad("bad_json", "a leading zero", jws(body=body[:-1] + b',"more":01}'))
    yield _bad(
        "bad_json", "a raw line's end within a text", jws(body=body.replace(b"VALID", b"VAL\nID"))
    )
    yield _bad("bad_json", "a byte order mark", jws(body=b"\xef\xbb\xbf" + body))
    yield _bad("bad_json", "UTF-16", jws(body=body.decode().encode("utf-16-le")))
    yield _bad(
        "bad_json", "bytes that are not UTF-8", jws(body=body.replace(b"VALID", b"V\xffLID"))
    )
    yield _bad(
        "bad_json", "an overlong form of UTF-8", jws(body=body.replace(b"VALID", b"V\xc1\x81LID"))
    )
    yield _bad(
        "bad_json",
        "nested 10,000 deep",
        jws(body=body[:-1] + b',"m":' + b"[" * 10_000 + b"]" * 10_000 + b"}"),
    )
    yield _bad(
        "bad_json", "nested 17 deep", jws(body=body[:-1] + b',"m":' + b"[" * 16 + b"]" * 16 + b"}")
    )
    yield _bad("bad_json", "cut off", jws(body=body[:-1]))
    yield _bad("malformed", "empty claims", jws(body=b""))


def _types() -> Iterator[dict[str, Any]]:
    for name in (
        "iss",
        "aud",
        "prd",
        "sub",
        "iat",
        "nbf",
        "exp",
        "valid",
        "code",
        "dev",
        "ent",
        "nonce",
    ):
        yield _bad("bad_claims", f"no {name}", jws(body=claims(name)))
    for name, values in {
        "valid": ("true", 1, None, "yes", [True]),
        "exp": (str(NOW + DAY), None, -1, NOW + 0.5, 10**18, True, [NOW + DAY], 253402300800),
        "iat": (str(NOW), None, False),
        "nbf": (None,),
        "aud": ([PRODUCT], None, {PRODUCT: 1}),
        "iss": (None, [ISSUER]),
        "dev": ([DEVICE], 0, False),
        "code": (None, 0),
        "nonce": (0, [NONCE]),
        "ent": (None, "export", {"export": True}, [1], [None], [["export"]]),
        "ver": (0, [BUILD_DATE], False),
        "nca": ("soon", None, -1, True),
        "licence_expires_at": (0, False),
        "on_expiry": (0,),
        "seq": ("4", -1, True),
        "development": ("no", 0, None),
    }.items():
        for value in values:
            yield _bad("bad_claims", f"{name} is {value!r:.30}", jws(body=claims(**{name: value})))
    for name, value in {"allowed": "yes", "meter": None, "used": -1, "limit": "10"}.items():
        yield _bad(
            "bad_claims",
            f"usage: {name} is {value!r}",
            jws(header(typ=USAGE), usage(**{name: value})),
            type=USAGE,
        )


def _altered() -> Iterator[dict[str, Any]]:
    """Each byte of the claims, and of the signature, with one bit turned: every 11th of them."""
    head, body, signature = jws().split(".")
    data = _raw(body)
    for place in range(0, len(data), 11):
        changed = bytes([*data[:place], data[place] ^ 1, *data[place + 1 :]])
        yield _bad(
            "bad_signature",
            f"claims, byte {place} altered",
            f"{head}.{b64url(changed)}.{signature}",
        )
    data = _raw(signature)
    for place in range(0, len(data), 5):
        changed = bytes([*data[:place], data[place] ^ 0x10, *data[place + 1 :]])
        yield _bad(
            "bad_signature", f"signature, byte {place} altered", f"{head}.{body}.{b64url(changed)}"
        )


def _vector(
    kind: str, name: str, proof: str, outcome: str, expect: dict[str, Any]
) -> dict[str, Any]:
    return {
        "name": name,
        "kind": kind,
        "proof": proof,
        "expect": {**EXPECTED, **expect},
        "outcome": outcome,
    }


def _raw(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def _next_symbol(symbol: str) -> str:
    """The same bits that count, and others that do not."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return alphabet[alphabet.index(symbol) ^ 1]
