"""Rotation of the secrets that are not in the database: token keys and master keys."""

import json
from datetime import datetime

from permit import proof_keys
from permit.db import Database
from permit.secret_sources import SecretSource
from permit.security.sealing import MasterKeys
from permit.security.token_keys import TokenKeys


def rotate_token_keys(keys: SecretSource, published: SecretSource, now: datetime) -> TokenKeys:
    """Adds a key that signs an hour from now (at once, where there is none), drops what is over.

    Published first: a key that signed before anyone could know it would lock users out.
    """
    rotated = keys.parsed_for_change(TokenKeys.parse).rotated(now)
    published.write(json.dumps(rotated.jwks(now)))
    keys.write(rotated.dump())
    return rotated


def add_master_key(source: SecretSource) -> MasterKeys:
    """First of three steps: a new version that nothing is sealed under yet.

    Wait until every function's cached copy has it (ten minutes) before the second.
    """
    keys = source.parsed_for_change(MasterKeys.parse).with_new_version()
    source.write(keys.dump())
    return keys


def reseal_under_newest(database: Database, source: SecretSource) -> tuple[MasterKeys, int]:
    """Second: the newest version seals from now on, and seals again what is there (how much)."""
    keys = source.parsed_for_change(MasterKeys.parse).with_newest_current()
    source.write(keys.dump())
    return keys, proof_keys.reseal(database, keys)


def drop_master_key(database: Database, source: SecretSource, version: str) -> MasterKeys:
    """Third, once nothing is sealed under it. Raises NotFound, MasterKeyInUse."""
    keys = source.parsed_for_change(MasterKeys.parse)
    keys = proof_keys.drop_master_key(database, keys, version)
    source.write(keys.dump())
    return keys
