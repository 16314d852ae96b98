"""GET /openapi.json, /docs: the API's description (OpenAPI 3.1), and a page that shows it."""

from functools import cache
from pathlib import Path
from typing import Any

from aws_lambda_powertools.event_handler import Response, openapi
from aws_lambda_powertools.event_handler.openapi.swagger_ui import generate_swagger_html
from aws_lambda_powertools.utilities.typing import LambdaContext

import permit
from permit.edge.api import Api
from permit.settings import EdgeSettings

# An hour: a deployment changes it, and nobody minds it being that late.
_CACHED = {"Cache-Control": "public, max-age=3600"}
_ASSETS = Path(openapi.__file__).parent / "swagger_ui"

api = Api(None, EdgeSettings.from_environment().origin_secret)


@api.get("/openapi.json")
def description() -> Response[str]:
    """The API's description (OpenAPI 3.1)."""
    return Response(
        status_code=200, content_type="application/json", headers=_CACHED, body=_description()
    )


@api.get("/docs")
def page() -> Response[str]:
    """The description as a page, which asks nobody else for anything."""
    return Response(
        status_code=200,
        content_type="text/html; charset=utf-8",
        headers={
            **_CACHED,
            "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; "
            "script-src 'unsafe-inline'; style-src 'unsafe-inline'; frame-ancestors 'none'",
            "X-Frame-Options": "DENY",
            "X-Content-Type-Options": "nosniff",
        },
        body=_page(),
    )


@cache
def _description() -> str:
    return (Path(permit.__file__).parent / "openapi.json").read_text(encoding="utf-8")


@cache
def _page() -> str:
    return generate_swagger_html(
        # Within a script, nothing may look like the end of it.
        spec=_description().replace("</", "<\\/"),
        swagger_js=(_ASSETS / "swagger-ui-bundle.min.js").read_text(encoding="utf-8"),
        swagger_css=(_ASSETS / "swagger-ui.min.css").read_text(encoding="utf-8"),
        swagger_base_url="",
        oauth2_config=None,
    )


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return api.resolve(event, context)
