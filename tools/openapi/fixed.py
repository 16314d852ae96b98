"""What no contract describes: the ids in paths, problems, key sets."""

from typing import Any


def _object(description: str, required: list[str], properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "description": description,
        "required": required,
        "properties": properties,
    }


def _text(description: str, **more: str) -> dict[str, str]:
    return {"type": "string", "description": description, **more}


PATH_IDS = {
    "device_id": "The device's id, from the list of the licence's devices or from a check.",
    "key_id": "The API key's id.",
    "licence_id": "The licence's id.",
    "policy_id": "The policy's id.",
    "product_id": "The product's id.",
    "tenant_id": "The tenant's id: `GET /v1/tenants/me` answers it, and a proof's `iss` ends so.",
    "user_id": "The user's id.",
}
PROBLEM: dict[str, Any] = _object(
    "What went wrong (RFC 9457). Nothing in it quotes a value of the request.",
    ["type", "title", "status", "detail", "code", "request_id"],
    {
        "type": _text("`urn:permit:problem:` and the code.", format="uri"),
        "title": _text("What went wrong in general, for people: the same for each code."),
        "status": {"type": "integer", "description": "The answer's HTTP status."},
        "detail": _text("What went wrong this time, for people."),
        "code": _text("What went wrong, for programs: they decide by it. Codes never change."),
        "request_id": _text("The id of this request, as the service's log has it."),
        "errors": {
            "type": "array",
            "description": "With 415 and 422: what is wrong with the request, at most 20 fields.",
            "items": _object(
                "One field.",
                ["field", "message"],
                {
                    "field": _text(
                        "The path of the field as it was sent, such as `holder.email` or "
                        "`licences.3.policy_id`; the name of a parameter or a header in lower "
                        "case; `body` for the body as a whole, `query` for all parameters."
                    ),
                    "message": _text("What would be right, for people."),
                },
            ),
        },
        "mfa_token": _text("With `mfa_required`: goes with the code into the second step."),
        "expires_in": {
            "type": "integer",
            "description": "With `mfa_required`: for how many seconds the `mfa_token` is good.",
        },
        "mistyped": {
            "type": "boolean",
            "description": "At the lookup of a key that no licence has: whether it has a typing "
            "error, as at a check.",
        },
        "expires_at": _text(
            "With `licence_end_moved`: the licence's present end.", format="date-time"
        ),
    },
)
MESSAGE: dict[str, Any] = {
    "content": {
        "application/json": {
            "schema": _object(
                "What API Gateway itself answers.",
                ["message"],
                {"message": _text("What went wrong, for people.")},
            )
        }
    }
}
KEY_SET: dict[str, Any] = _object(
    "A JSON Web Key Set (RFC 7517).",
    ["keys"],
    {
        "keys": {
            "type": "array",
            "description": "Public keys. Of a tenant's proofs the first two are to be embedded in "
            "programs: the current one and the next.",
            "items": _object(
                "An Ed25519 public key (RFC 8037).",
                ["kty", "crv", "x", "kid", "use", "alg"],
                {
                    "kty": _text("Always `OKP`."),
                    "crv": _text("Always `Ed25519`."),
                    "x": _text("The public key: 32 bytes in Base64url."),
                    "kid": _text("Names the key, as the header of a token or a proof does."),
                    "use": _text("Always `sig`: it verifies signatures."),
                    "alg": _text("Always `EdDSA`."),
                },
            ),
        }
    },
)
