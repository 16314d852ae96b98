"""events/*.json: what API Gateway and the others send, valid as they stand."""

import json

import pytest

from permit.security import licence_keys
from tests.support.sam_template import events, functions, routes

HTTP = {name: event for name, event in events().items() if "routeKey" in event}
DIRECT = {name: event for name, event in events().items() if "routeKey" not in event}


@pytest.mark.parametrize("name", sorted(HTTP))
def test_http_event_agrees_with_itself(name: str) -> None:
    """Payload format 2.0 says the route, the path and the length of the body more than once."""
    event = HTTP[name]
    request = event["requestContext"]
    route = event["routeKey"].split()[1].replace("{proxy+}", "{proxy}")
    path = route.format(**event.get("pathParameters", {}))

    assert "2.0" == event["version"]
    assert request["routeKey"] == event["routeKey"]
    assert request["http"]["path"] == event["rawPath"] == path
    assert request["domainName"] == event["headers"]["host"]
    assert request["http"]["sourceIp"] == event["headers"]["x-forwarded-for"]
    assert event["headers"].get("content-length", "0") == str(len(event.get("body", "").encode()))
    assert all(header == header.lower() for header in event["headers"])


@pytest.mark.parametrize("name", sorted(HTTP))
def test_http_event_holds_nobody_real(name: str) -> None:
    """Addresses and emails are of the ranges that are kept for documentation."""
    event = HTTP[name]
    body = json.loads(event.get("body", "{}"))

    assert event["requestContext"]["http"]["sourceIp"].startswith("203.0.113.")
    assert body.get("email", "@example.com").endswith("@example.com")


@pytest.mark.parametrize("name", ["licence_check", "licence_release"])
def test_licence_event_reaches_the_database(name: str) -> None:
    """The key's check symbols are right and the fingerprint is long enough, so it is looked up."""
    body = json.loads(HTTP[name]["body"])
    fingerprint = body.get("fingerprint") or body["device"]["fingerprint"]

    assert licence_keys.canonical(body["key"])
    assert 16 <= len(fingerprint) <= 256


def test_direct_events_are_for_functions_without_a_route() -> None:
    """The operator and migrate are invoked, the sweep and the probe come by schedule."""
    routed = set(routes().values())
    invoked = {
        function for function in functions() for event in DIRECT if event.startswith(function)
    }

    assert set(functions()) - routed == invoked
    scheduled = {event for event in DIRECT if DIRECT[event].get("source") == "aws.scheduler"}
    assert {"probe", "sweep"} == scheduled
