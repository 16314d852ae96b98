"""What pins a session of RDS Proxy for PostgreSQL.

https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/rds-proxy-pinning.html
"""

import re

LONGEST = 16 * 1024
# As the whole of a statement or the head of one of several.
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
