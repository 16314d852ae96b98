"""The databases that are measured: the real tables, filled with licences of one vendor."""

import hashlib
import random
import secrets
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

import psycopg

from permit.migrate import LOGIN_ROLES, migrate
from permit.security import licence_keys
from tests.support.deployment import Deployment, Vendor
from tests.support.servers import PASSWORD, Server

Device = list[str]  # licence key, fingerprint

OWNER = "bench_owner"
_MOST_SAMPLES = 20_000
# A superuser's own setting: foreign keys are not looked up for each row that is loaded.
_UNCHECKED = "SET session_replication_role = replica"
# Nor is any index kept up with the rows: ids are random, so that each would change another page of
# it. Built of all the rows afterwards it takes a tenth of the time.
_FILLED = ("licences", "licence_keys", "devices")
_LEAVE_INDEXES = """
    UPDATE pg_index SET indisready = %(is_kept)s
     WHERE indrelid = ANY (%(tables)s::text[]::regclass[])
"""

_LICENCES = """
    INSERT INTO permit.licences
           (tenant_id, id, product_id, policy_id, key_hint, holder_email, holder_reference,
            holder_email_folded, holder_reference_folded, starts_at, expires_at, entitlements,
            metadata)
    SELECT %(tenant_id)s, md5('licence ' || n)::uuid, %(product_id)s, %(policy_id)s, 'BENCH',
           'holder-' || n || '@example.com', 'order ' || n,
           'holder-' || n || '@example.com', 'order ' || n,
           now() - interval '30 days', now() + interval '335 days',
           ARRAY['export', 'sync'], jsonb_build_object('order', n)
      FROM generate_series(0, %(licences)s - 1) AS n
"""
_KEYS = """
    INSERT INTO permit.licence_keys (key_hash, tenant_id, licence_id)
    SELECT coalesce(s.key_hash, sha256(('key ' || n)::bytea)), %(tenant_id)s,
           md5('licence ' || n)::uuid
      FROM generate_series(0, %(licences)s - 1) AS n
      LEFT JOIN public.bench_samples AS s ON s.licence = n
"""
# last_seen_at is due when five minutes old: one that lies ahead stays fresh for the whole run.
_DEVICES = """
    INSERT INTO permit.devices
           (tenant_id, id, licence_id, fingerprint_hash, components, name, platform, state,
            seated_at, first_seated_at, first_seen_at, last_seen_at)
    SELECT %(tenant_id)s, md5('device ' || n || ' ' || d)::uuid, md5('licence ' || n)::uuid,
           coalesce(CASE WHEN d = 1 THEN s.fingerprint_hash END,
                    sha256(('device ' || n || ' ' || d)::bytea)),
           '{}', 'Laptop', 'linux', 'seated',
           at.seated, at.seated, at.seated,
           CASE WHEN s.is_due THEN now() - interval '10 minutes' ELSE now() + interval '1 hour' END
      FROM generate_series(0, %(licences)s - 1) AS n
     CROSS JOIN generate_series(1, %(devices)s) AS d
     CROSS JOIN LATERAL (SELECT now() - interval '30 days' + d * interval '1 minute') AS at (seated)
      LEFT JOIN public.bench_samples AS s ON s.licence = n
"""


@dataclass(frozen=True, kw_only=True)
class Database:
    """One size of it, and devices spread evenly over it; each is handed out once, then again."""

    deployment: Deployment
    fresh: Iterator[Device]
    due: Iterator[Device]

    def take(self, count: int) -> list[Device]:
        return list(islice(self.fresh, count))

    def take_due(self, count: int) -> list[Device]:
        """Devices with a last_seen_at that the next check rewrites; each is given only once."""
        taken = list(islice(self.due, count))
        if len(taken) < count:
            raise ValueError("more due devices are asked for than were loaded")
        return taken


@dataclass(frozen=True, kw_only=True)
class Template:
    """A migrated database with a vendor, a user who can sign in, and a policy; not filled yet."""

    vendor: Vendor
    policy_id: str


def make_template(server: Server, folder: Path) -> Template:
    """`folder`: of the server, where the secrets go too."""
    secrets = folder / "secrets"
    secrets.mkdir()
    deployment = Deployment(server=server, database="bench_template", folder=secrets)
    deployment.write_secrets()
    with server.connect() as connection:
        connection.execute(f"CREATE ROLE {OWNER} LOGIN CREATEROLE PASSWORD '{PASSWORD}'")
        connection.execute(f"CREATE DATABASE {deployment.database} OWNER {OWNER}")
    owner = {
        "host": "127.0.0.1",
        "port": server.port,
        "user": OWNER,
        "password": PASSWORD,
        "dbname": deployment.database,
    }
    migrate(owner, role_passwords=dict.fromkeys(LOGIN_ROLES, PASSWORD))
    deployment.operator("rotate-token-key")
    policy_id = deployment.vendor.policy(max_devices=5)
    deployment.close()  # a database with a connection cannot be a template
    return Template(vendor=deployment.vendor, policy_id=policy_id)


def load(
    template: Template, name: str, *, licences: int, devices_a_licence: int, due: int = 0
) -> Database:
    """A copy of the template, filled with licences."""
    vendor, origin = template.vendor, template.vendor.deployment
    with origin.server.connect() as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {origin.database} OWNER {OWNER}")
    devices = [_device() for _ in range(min(licences, _MOST_SAMPLES))]
    parameters = {
        "tenant_id": vendor.tenant_id,
        "product_id": vendor.product_id,
        "policy_id": template.policy_id,
        "licences": licences,
        "devices": devices_a_licence,
    }
    with origin.server.connect(name) as connection:
        connection.execute(_UNCHECKED)
        _copy_samples(connection, devices, apart=licences // len(devices), due=due)
        with _indexes_left(connection):
            for statement in (_LICENCES, _KEYS, _DEVICES):
                connection.execute(statement, parameters)
        connection.execute("VACUUM (ANALYZE)")
        connection.execute("CHECKPOINT")
    return Database(
        deployment=Deployment(server=origin.server, database=name, folder=origin.folder),
        fresh=cycle(devices[due:]),
        due=iter(devices[:due]),
    )


@contextmanager
def _indexes_left(connection: psycopg.Connection) -> Generator[None]:
    tables = [f"permit.{table}" for table in _FILLED]
    connection.execute(_LEAVE_INDEXES, {"is_kept": False, "tables": tables})
    yield
    connection.execute(_LEAVE_INDEXES, {"is_kept": True, "tables": tables})
    connection.execute("SET maintenance_work_mem = '1GB'")
    for table in tables:
        connection.execute(f"REINDEX TABLE {table}")


def _device() -> Device:
    return [licence_keys.generate(), f"sha256:{secrets.token_hex(16)}"]


def _copy_samples(
    connection: psycopg.Connection, devices: list[Device], *, apart: int, due: int
) -> None:
    """The keys and fingerprints that the run knows; every other licence has made-up hashes."""
    connection.execute(
        """
        CREATE UNLOGGED TABLE public.bench_samples (
            licence          integer PRIMARY KEY,
            key_hash         bytea   NOT NULL,
            fingerprint_hash bytea   NOT NULL,
            is_due           boolean NOT NULL
        )
        """
    )
    shuffled = random.sample(range(len(devices)), len(devices))  # due ones are spread as well
    with connection.cursor().copy("COPY public.bench_samples FROM STDIN") as copy:
        for index, (place, (key, fingerprint)) in enumerate(zip(shuffled, devices, strict=True)):
            key_hash = licence_keys.digest(key.replace("-", ""))
            fingerprint_hash = hashlib.sha256(fingerprint.encode()).digest()
            copy.write_row((place * apart, key_hash, fingerprint_hash, index < due))
