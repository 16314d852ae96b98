"""Which statements a function sent, counted where they arrive: in the server's own log."""

from collections.abc import Generator
from contextlib import contextmanager

from tests.support.deployment import Deployment
from tests.support.sam_template import database_users


@contextmanager
def sent_statements(deployment: Deployment, function: str) -> Generator[list[str]]:
    """The texts that the function's role sends to this test's database within the block.

    Each is a round trip. The list is filled when the block ends.
    """
    sent: list[str] = []
    since = deployment.server.logged()
    yield sent
    user = database_users()[function]
    sent += [
        statement.text
        for statement in deployment.server.statements(since)
        if (statement.user, statement.database) == (user, deployment.database)
        # What PgBouncer sends of its own when it hands a connection to another client.
        and not statement.text.startswith("SET application_name=")
    ]
