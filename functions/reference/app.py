"""GET /, /docs, /openapi.json: what Permit is, and the API's description, also as a page."""

from functools import cache
from pathlib import Path
from typing import Any

from aws_lambda_powertools.event_handler import openapi
from aws_lambda_powertools.event_handler.openapi.swagger_ui import generate_swagger_html

import permit
from permit import VERSION
from permit.edge.api import Api
from permit.edge.payload import Context, Response
from permit.settings import EdgeSettings

# An hour: only a deployment changes it, and a delay of an hour does no harm.
_CACHED = {"Cache-Control": "public, max-age=3600"}
_ASSETS = Path(openapi.__file__).parent / "swagger_ui"
_HOME = f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Permit</title>
<style>
  body {{ max-width: 36em; margin: 4em auto; padding: 0 1em; font: 1.1em/1.5 sans-serif }}
</style>
<h1>Permit</h1>
<p>Licensing as a service: a software vendor issues licences for its products, and its shipped
programs ask “may this copy run here, now?” and get a signed answer in one call.</p>
<p><a href="/docs">The API, with examples</a> · <a href="/openapi.json">its OpenAPI
description</a> · <a href="/v1/health">whether this service is well</a></p>
<p>Version {VERSION}</p>
</html>
"""

# Each takes any query: what a link or a cache appends to a page's address (`utm_source`) asks for
# nothing. Everywhere else a parameter means something, so one that is not known is refused.
api = Api(None, EdgeSettings.from_environment().origin_secret)


@api.get("/", takes_query=True)
def home() -> Response:
    """What this service is, for people who open the address in a browser."""
    return _page(_HOME, "style-src 'unsafe-inline'")


@api.get("/openapi.json", takes_query=True)
def description() -> Response:
    """The API's description (OpenAPI 3.1)."""
    return Response(
        status_code=200, content_type="application/json", headers=_CACHED, body=_description()
    )


@api.get("/docs", takes_query=True)
def docs() -> Response:
    """The description as a page that loads nothing from elsewhere."""
    allowed = "img-src 'self' data:; script-src 'unsafe-inline'; style-src 'unsafe-inline'"
    return _page(_docs(), allowed)


def _page(html: str, allowed: str) -> Response:
    return Response(
        status_code=200,
        content_type="text/html; charset=utf-8",
        headers={
            **_CACHED,
            "Content-Security-Policy": f"default-src 'self'; {allowed}; frame-ancestors 'none'",
            "X-Frame-Options": "DENY",
            "X-Content-Type-Options": "nosniff",
        },
        body=html,
    )


@cache
def _description() -> str:
    return (Path(permit.__file__).parent / "openapi.json").read_text(encoding="utf-8")


@cache
def _docs() -> str:
    html = generate_swagger_html(
        # Nothing inside the script may look like its end tag.
        spec=_description().replace("</", "<\\/"),
        swagger_js=(_ASSETS / "swagger-ui-bundle.min.js").read_text(encoding="utf-8"),
        swagger_css=(_ASSETS / "swagger-ui.min.css").read_text(encoding="utf-8"),
        swagger_base_url="",
        oauth2_config=None,
    )
    return html.replace("<title>Swagger UI<", "<title>Permit<", 1)


def handler(event: dict[str, Any], context: Context) -> dict[str, Any]:
    return api.resolve(event, context)
