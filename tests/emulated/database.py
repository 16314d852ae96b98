"""The database of the emulated stack: one Postgres behind TLS, under the names that RDS gives it.

The owner signs in with the password of the managed secret; everybody else with an IAM token, which
an independent verifier reads. A policy of the token's role must let it connect as that user.
"""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.support.iam_tokens import Identity, Refused, verify
from tests.support.proxy_double import REGION, ProxyDouble, parameters_of
from tests.support.servers import Server

DOMAIN = "database.emulated"
PORT = 5432  # as stacks/database.yaml says
# Of the database as the previous version left it.
OLD_SNAPSHOT = "old_snapshot"
OWNER = {"username": "permit_admin", "password": "emulated-only"}


def prepare(server: Server) -> None:
    """What RDS has made when it hands a database over."""
    with server.connect() as connection:
        connection.execute("CREATE ROLE rds_iam NOLOGIN")
        owner, password = OWNER["username"], OWNER["password"]
        connection.execute(f"CREATE ROLE {owner} LOGIN CREATEROLE CREATEDB PASSWORD '{password}'")
        connection.execute(f"GRANT rds_iam TO {owner} WITH ADMIN OPTION, INHERIT FALSE, SET FALSE")
        connection.execute(f"CREATE DATABASE permit OWNER {owner}")
        [file] = connection.execute("SHOW hba_file").fetchone() or [""]
        # Tokens are verified before a session comes here.
        rules = [
            f"host all {owner} 127.0.0.1/32 scram-sha-256",
            "host all +rds_iam 127.0.0.1/32 trust",
        ]
        Path(file).write_text("\n".join([*rules, Path(file).read_text()]))
        connection.execute("SELECT pg_reload_conf()")


def keep(server: Server, name: str) -> None:
    """What a snapshot holds: a copy of the database as it is."""
    with server.connect() as connection:
        connection.execute("ALTER DATABASE permit ALLOW_CONNECTIONS false")
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'permit'"
        )
        connection.execute(f"CREATE DATABASE {name} TEMPLATE permit OWNER {OWNER['username']}")
        connection.execute("ALTER DATABASE permit ALLOW_CONNECTIONS true")


def bring_back(server: Server, name: str) -> None:
    """As a database that was made of that snapshot."""
    with server.connect() as connection:
        connection.execute("DROP DATABASE permit WITH (FORCE)")
        connection.execute(f"ALTER DATABASE {name} RENAME TO permit")


@dataclass(kw_only=True)
class Front(ProxyDouble):
    """Cluster, instance and proxy at once; the name that a token is made for tells them apart."""

    sessions: Path
    client: Callable[[str], Any] = field(repr=False)

    def _takes_tokens(self, startup: bytes) -> bool:
        return parameters_of(startup)["user"] != OWNER["username"]

    async def _verified(self, token: str) -> str:
        address = token.partition("/")[0]
        identity = await asyncio.to_thread(self._identity, token, address.partition(":")[0])
        identities = {identity.access_key: identity}
        return verify(token, identities, host=address, region=REGION, now=datetime.now(UTC))

    def _identity(self, token: str, host: str) -> Identity:
        query = parse_qs(urlsplit(f"https://{token}").query)
        [user], [credential] = query["DBUser"], query["X-Amz-Credential"]
        session = session_of(self.sessions, credential.partition("/")[0])
        if not self._may_connect(session["Arn"], host, user):
            raise Refused(f"{session['Arn']} may not connect to {host} as {user}")
        return Identity(
            access_key=session["AccessKeyId"],
            secret_key=session["SecretAccessKey"],
            session_token=session["SessionToken"],
            user=user,
        )

    def _may_connect(self, session: str, host: str, user: str) -> bool:
        """arn:aws:sts::<account>:assumed-role/<role>/<function>: what the role's policies say."""
        _, _, _, _, account, name = session.split(":")
        answer = self.client("iam").simulate_principal_policy(
            PolicySourceArn=f"arn:aws:iam::{account}:role/{name.split('/')[1]}",
            ActionNames=["rds-db:connect"],
            ResourceArns=[
                f"arn:aws:rds-db:{REGION}:{account}:dbuser:{self._resource_id(host)}/{user}"
            ],
        )
        [result] = answer["EvaluationResults"]
        return result["EvalDecision"] == "allowed"

    def _resource_id(self, host: str) -> str:
        identifier, _, kind = host.removesuffix(f".{DOMAIN}").rpartition("-")
        rds = self.client("rds")
        if kind == "cluster":
            [found] = rds.describe_db_clusters(DBClusterIdentifier=identifier)["DBClusters"]
            return found["DbClusterResourceId"]
        if kind == "instance":
            [found] = rds.describe_db_instances(DBInstanceIdentifier=identifier)["DBInstances"]
            return found["DbiResourceId"]
        return f"prx-{identifier}"


def session_of(sessions: Path, access_key: str) -> dict[str, Any]:
    """The credentials of a function that has run, by their key."""
    for line in sessions.read_text(encoding="utf-8").splitlines():
        session = json.loads(line)
        if session["AccessKeyId"] == access_key:
            return session
    raise Refused("unknown access key")
