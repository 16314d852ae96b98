"""The check's database call alone, under load."""

import hashlib

from bench_commands import connect
from bench_lambda import Device
from bench_load import serve_load
from floor_check import find

database = connect()


def main() -> None:
    serve_load(_answer)


def _answer(device: Device) -> object:
    key, fingerprint = device
    fingerprint_hash = hashlib.sha256(fingerprint.encode()).digest()
    return find(database, key, fingerprint_hash, "Laptop", "linux")
