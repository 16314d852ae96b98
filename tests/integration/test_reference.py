"""GET /, /openapi.json and /docs: what this is, the API's description, a page that needs nobody."""

import re

from permit import VERSION
from tests.support.deployment import Deployment, load_event
from tests.support.sam_template import routes


def test_the_first_page_says_what_this_is(deployment: Deployment) -> None:
    """With the version, and links that lead to routes of this service."""
    response = deployment.invoke("reference", load_event("home"))

    page = response["body"]
    assert (200, "text/html; charset=utf-8") == (
        response["statusCode"],
        response["headers"]["Content-Type"],
    )
    assert "<title>Permit</title>" in page
    assert f"Version {VERSION}" in page
    links = re.findall(r'href="([^"]+)"', page)
    assert "/docs" in links
    assert {f"ANY {link}" for link in links} <= set(routes())


def test_the_description_is_served(deployment: Deployment) -> None:
    """As JSON, cacheable."""
    answer = deployment.send("openapi")

    assert (200, "3.1.0") == (answer.status, answer.body["openapi"])
    assert "application/json" == answer.headers["content-type"]
    assert "public, max-age=3600" == answer.headers["cache-control"]


def test_the_page_needs_no_internet(deployment: Deployment) -> None:
    """Script and style are in it, it loads nothing, and the policy forbids that too."""
    response = deployment.invoke("reference", load_event("docs"))

    page = response["body"]
    assert 200 == response["statusCode"]
    assert "<title>Permit</title>" in page
    assert "/v1/licences/check" in page
    assert not re.search(r"<(?:script|link|img)[^>]+(?:src|href)=", page)
    assert "default-src 'self'" in response["headers"]["Content-Security-Policy"]


def test_the_page_is_nobodys_frame(deployment: Deployment) -> None:
    """Nobody lays it under a page of their own, in browsers new and old."""
    headers = deployment.invoke("reference", load_event("docs"))["headers"]

    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert "DENY" == headers["X-Frame-Options"]
