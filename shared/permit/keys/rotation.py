"""Rotation of the secrets that are not in the database: token keys and master keys."""

import json
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime

from permit.db import Database
from permit.errors import NotFound
from permit.keys import proof_keys
from permit.secrets.sources import SecretChanged, SecretSource
from permit.security.sealing import MasterKeys
from permit.security.token_keys import TokenKeys

_FURTHER_ATTEMPTS = 2


def rotate_token_keys(keys: SecretSource, published: SecretSource, now: datetime) -> TokenKeys:
    """Adds a key that signs in an hour (at once if it is the first), and drops expired ones.

    Published first: a key that signed before anyone could know it would lock users out.
    """
    return _change_token_keys(keys, published, now, lambda current: current.rotated(now))


def withdraw_token_key(
    keys: SecretSource, published: SecretSource, kid: str, now: datetime
) -> TokenKeys:
    """Ends a leaked key at once: what it has signed no longer verifies. Raises NotFound."""

    def without(current: TokenKeys) -> TokenKeys:
        if kid not in current.kids:
            raise NotFound
        return current.without(kid, now)

    return _change_token_keys(keys, published, now, without)


def _change_token_keys(
    keys: SecretSource,
    published: SecretSource,
    now: datetime,
    change: Callable[[TokenKeys], TokenKeys],
) -> TokenKeys:
    """If another change comes first, this one is made again on top of it."""

    def once() -> TokenKeys:
        changed = change(keys.parsed_for_change(TokenKeys.parse))
        published.write(json.dumps(changed.jwks(now)))
        keys.write(changed.dump())
        return changed

    for _ in range(_FURTHER_ATTEMPTS):
        with suppress(SecretChanged):
            return once()
    return once()


def add_master_key(source: SecretSource) -> MasterKeys:
    """First of three steps: a new version that nothing is sealed under yet.

    Wait until every function's cached copy has it (ten minutes) before the second.
    """
    keys = source.parsed_for_change(MasterKeys.parse).with_new_version()
    source.write(keys.dump())
    return keys


def reseal_under_newest(database: Database, source: SecretSource) -> tuple[MasterKeys, int]:
    """Second: the newest version seals from now on, and re-seals the rest; returns how much."""
    keys = source.parsed_for_change(MasterKeys.parse).with_newest_current()
    source.write(keys.dump())
    return keys, proof_keys.reseal(database, keys)


def drop_master_key(database: Database, source: SecretSource, version: str) -> MasterKeys:
    """Third: drops a version that nothing is sealed under. Raises NotFound, MasterKeyInUse."""
    keys = source.parsed_for_change(MasterKeys.parse)
    keys = proof_keys.drop_master_key(database, keys, version)
    source.write(keys.dump())
    return keys
