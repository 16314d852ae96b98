"""The least that a cold check can be: import psycopg and Ed25519, connect, call, sign."""

import base64
import hashlib
import json
import os

import psycopg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


def main() -> None:
    key, fingerprint = json.loads(os.environ["BENCH_DEVICE"])
    connection = psycopg.connect(
        host=os.environ["PERMIT_DATABASE_HOST"],
        port=os.environ["PERMIT_DATABASE_PORT"],
        dbname=os.environ["PERMIT_DATABASE_NAME"],
        user=os.environ["PERMIT_DATABASE_USER"],
        password=os.environ["PERMIT_DATABASE_PASSWORD"],
        autocommit=True,
        prepare_threshold=None,
    )
    row = connection.execute(
        "SELECT permit.check_key(%s, %s, NULL, 'Laptop', 'linux', NULL)",
        (
            hashlib.sha256(key.replace("-", "").encode()).digest(),
            hashlib.sha256(fingerprint.encode()).digest(),
        ),
    ).fetchone()
    if row is None or row[0] is None:
        raise RuntimeError("the benchmark's licence is not found")
    signature = Ed25519PrivateKey.from_private_bytes(bytes(32)).sign(json.dumps(row).encode())
    body = {"valid": True, "proof": base64.urlsafe_b64encode(signature).decode()}
    print(json.dumps(body), flush=True)
    os._exit(0)
