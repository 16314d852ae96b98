"""A creating request that is sent again gets its first answer, byte for byte, for seven days.

The answer is kept, sealed, in the transaction of the effect (permit.security.answer_seals), so no
licence key is stored readably.
"""

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from permit.db import Database
from permit.edge import queries
from permit.edge.payload import Response
from permit.errors import IdempotencyKeyReused, InvalidRequest
from permit.security.answer_seals import AnswerSeal

HEADER = "idempotency-key"
"""1 to 255 visible ASCII characters that the caller makes up for one request, such as the number of
an order: unique among all requests of the tenant. The same request of the same caller, sent again
with it within 7 days, has no second effect: it gets its first answer byte for byte, with the header
`Idempotent-Replayed: true`. Another request with it is refused."""
_KEY = re.compile(r"[\x21-\x7e]{1,255}")


@dataclass(frozen=True, kw_only=True, slots=True)
class SentRequest:
    seals: tuple[AnswerSeal, ...]
    """Those that its answer may have; a new one gets the first."""
    digest: bytes
    """A hash of what makes two requests the same: caller, method, path and body."""


def parse_key(text: str) -> str:
    if not _KEY.fullmatch(text):
        raise InvalidRequest((HEADER, "must have 1 to 255 visible ASCII characters"))
    return text


def request_digest(*parts: str) -> bytes:
    # Each part is preceded by its length, so that no two lists of parts read the same.
    encoded = [part.encode("utf-8", "surrogatepass") for part in parts]
    return hashlib.sha256(
        b"".join(len(part).to_bytes(8, "big") + part for part in encoded)
    ).digest()


def answer_once(
    database: Database, request: SentRequest, answer: Callable[[], Response]
) -> Response:
    """The first answer to this request, made now if there is none. Raises IdempotencyKeyReused.

    Runs in the transaction of the effect: a second request with the same key waits for it.
    """
    seals = {seal.name: seal for seal in request.seals}
    claim = queries.claim(database, list(seals), request.digest)
    if claim.is_new:
        response = answer()
        content = json.dumps({"status": response.status_code, "body": response.body})
        first = request.seals[0]
        queries.keep(database, first.name, first.seal(content.encode()))
        return response
    if not claim.is_same or claim.name is None or claim.sealed is None:
        raise IdempotencyKeyReused(HEADER)
    kept: dict[str, Any] = json.loads(seals[claim.name].open(claim.sealed))
    return Response(
        status_code=kept["status"],
        content_type="application/json",
        headers={"Cache-Control": "no-store", "Idempotent-Replayed": "true"},
        body=kept["body"],
    )
