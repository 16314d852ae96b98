"""GET /.well-known/jwks.json, /v1/tenants/{id}/jwks.json: public keys (RFC 7517, RFC 8037)."""

import json
from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from permit.db import Database
from permit.edge.api import Api
from permit.edge.payload import Context, Response
from permit.errors import NotFound
from permit.keys.queries import list_published
from permit.security.jwk import JwkSet, parse_jwk_set, public_jwk
from permit.settings import JwksSettings

settings = JwksSettings.from_environment()
database = Database(settings)
api = Api(database, settings.origin_secret)


@api.get("/.well-known/jwks.json")
def access_token_keys() -> Response:
    """The public keys that verify access tokens."""
    return _key_set(settings.token_jwks.parsed(parse_jwk_set))


@api.get("/v1/tenants/{tenant_id}/jwks.json")
def tenant_keys(tenant_id: str) -> Response:
    """The public keys that verify a tenant's proofs. Vendors embed the first two: current, next."""
    try:
        published = list_published(database, UUID(tenant_id))
    except ValueError:
        raise NotFound from None
    if not published:
        raise NotFound
    keys = [public_jwk(Ed25519PublicKey.from_public_bytes(key.public_key)) for key in published]
    return _key_set({"keys": keys})


def _key_set(keys: JwkSet) -> Response:
    # Five minutes: much shorter than the hour between a new key's publication and its first use.
    return Response(
        status_code=200,
        content_type="application/jwk-set+json",
        headers={"Cache-Control": "public, max-age=300"},
        body=json.dumps(keys),
    )


def handler(event: dict[str, Any], context: Context) -> dict[str, Any]:
    return api.resolve(event, context)
