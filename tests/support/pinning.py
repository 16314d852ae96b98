"""What pins a session of RDS Proxy for PostgreSQL.

https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/rds-proxy-pinning.html
"""

import re
from collections.abc import Iterator

from tests.support.servers import Server, Statement

LONGEST = 16 * 1024
# As the whole of a statement or the head of one of several.
INJECTED = "/* injected */"

COMMANDS = re.compile(
    r"(?:^|;)\s*(?:SET|RESET|PREPARE|EXECUTE|DEALLOCATE|DISCARD|DECLARE|LISTEN|UNLISTEN|LOAD"
    r"|CREATE\s+(?:LOCAL\s+|GLOBAL\s+)?TEMP(?:ORARY)?)\b",
    re.IGNORECASE,
)
CALLS = re.compile(
    r"\b(?:set_config|nextval|setval|lastval|pg_(?:try_)?advisory_lock(?:_shared)?)\s*\(",
    re.IGNORECASE,
)
COMMENTS = re.compile(r"/\*.*?\*/|--[^\n]*", re.DOTALL)


def pins(statement: str) -> bool:
    """Whether RDS Proxy would bind the client to one connection from then on."""
    text = COMMENTS.sub(" ", statement)
    is_long = len(statement.encode()) > LONGEST
    return is_long or bool(COMMANDS.search(text) or CALLS.search(text))


def sent_by_functions(server: Server) -> Iterator[Statement]:
    """Every statement that came through a function's role, whichever test sent it."""
    for statement in server.statements():
        # PgBouncer names its client to each server connection in words of its own.
        by_pooler = statement.text == "SET application_name='permit';"
        # What a test sends as an attacker would.
        is_injected = INJECTED in statement.text
        if statement.user.startswith("permit_") and not by_pooler and not is_injected:
            yield statement


def pinning_statements(server: Server) -> list[str]:
    return sorted({each.text for each in sent_by_functions(server) if pins(each.text)})
