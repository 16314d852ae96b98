"""How the operator enters a tenant: through IAM, by a named command, in one transaction."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID

import psycopg

from permit.db import Database
from permit.errors import NotFound


@dataclass(frozen=True, kw_only=True, slots=True)
class Operator:
    """A caller that IAM has let in, with their command."""

    database: Database
    command: str
    """The command, as the audit log names it."""

    @contextmanager
    def entered(self, tenant_id: UUID) -> Generator[Database]:
        """A transaction that sees and writes this tenant's rows only.

        Raises NotFound for a tenant that is being erased.
        """
        with self.database.transaction():
            try:
                self.database.fetch_value(
                    "SELECT permit.enter_by_command(%(tenant_id)s, %(command)s)",
                    {"tenant_id": tenant_id, "command": self.command},
                )
            except psycopg.errors.NoDataFound:
                raise NotFound from None
            yield self.database
