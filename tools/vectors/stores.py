"""docs/vectors/stores.json: the file in which a program keeps its last verdict."""

import hashlib
import hmac
import json
from collections.abc import Iterator
from typing import Any

from tools.vectors.histories import stored
from tools.vectors.signing import DEVICE, PRODUCT, device_of, jws


def document() -> dict[str, Any]:
    return {
        "about": "The envelope: docs/protocol.md, 'The store'. Made by `python -m tools.vectors`.",
        "product": PRODUCT,
        "device": DEVICE,
        "vectors": [*_stores()],
    }


def envelope(device: str = DEVICE, product: str = PRODUCT, **changes: Any) -> dict[str, Any]:
    body = changes.pop("body", json.dumps(stored(jws()), separators=(",", ":"), sort_keys=True))
    key = hashlib.sha256(f"permit-store-1\0{product}\0{device}".encode()).digest()
    shown = hashlib.sha256(f"permit-store\0{device}".encode()).hexdigest()[:16]
    mac = hmac.new(key, str(body).encode(), hashlib.sha256).hexdigest()
    return {"format": 1, "device": shown, "body": body, "mac": mac, **changes}


def _stores() -> Iterator[dict[str, Any]]:
    def vector(name: str, text: str | dict[str, Any], status: str) -> dict[str, Any]:
        kind = "good" if status == "ok" else "hostile"
        text = text if isinstance(text, str) else json.dumps(text, separators=(",", ":"))
        return {"name": name, "kind": kind, "text": text, "status": status}

    good = envelope()
    text = json.dumps(good)
    yield vector("as it was written", good, "ok")
    yield vector("with white space", json.dumps(good, indent=2), "ok")
    yield vector("with a member of a later version", {**good, "note": "x"}, "ok")
    yield vector("empty", "", "damaged")
    yield vector("cut off", text[: len(text) // 2], "damaged")
    yield vector("not JSON", "licence = yes", "damaged")
    yield vector("zeros, as after a crash", "\0" * 512, "damaged")
    yield vector("another machine's", envelope(device_of("another machine")), "other_device")
    yield vector(
        "another machine's, renamed",
        {**envelope(device_of("another machine")), "device": good["device"]},
        "damaged",
    )
    yield vector("another product's", envelope(product="viewer"), "damaged")
    body = json.loads(good["body"])
    yield vector("the clock edited", {**good, "body": json.dumps({**body, "seen": 0})}, "damaged")
    yield vector("a wrong seal", {**good, "mac": "0" * 64}, "damaged")
    yield vector("the seal in upper case", {**good, "mac": good["mac"].upper()}, "damaged")
    yield vector("a seal beyond ASCII", {**good, "mac": "é" * 32}, "damaged")
    yield vector("no seal", {n: v for n, v in good.items() if n != "mac"}, "damaged")
    yield vector("a later version's", {**good, "format": 2}, "newer")
    yield vector("a later version's, and nothing else is known", {"format": 99}, "newer")
    yield vector("no version", {n: v for n, v in good.items() if n != "format"}, "damaged")
    yield vector("version 0", {**good, "format": 0}, "damaged")
    yield vector("version true", {**good, "format": True}, "damaged")
    yield vector("version as a text", {**good, "format": "1"}, "damaged")
    yield vector("the body is an object", {**good, "body": body}, "damaged")
    yield vector("sealed, and not JSON", envelope(body="x"), "damaged")
    yield vector("sealed, and a list", envelope(body="[]"), "damaged")
    yield vector("the body twice", text[:-1] + ', "body": "{}"}', "damaged")
    yield vector("two envelopes", text + text, "damaged")
    yield vector("300 KB", {**good, "pad": "x" * 300_000}, "damaged")
