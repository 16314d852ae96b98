"""The origin lock: a deployment behind CloudFront answers nobody who comes round it."""

from pathlib import Path
from typing import Any

import pytest

from permit.security.origin import is_proven, parse_origin_secrets, viewer_address
from permit.security.secret_formats import MalformedSecret
from tests.support.deployment import FUNCTION_OF, Deployment
from tests.support.servers import Server

SECRET = "s" * 32
NEW = "n" * 32
SHAPE = {"type", "title", "status", "detail", "code", "request_id"}


@pytest.fixture
def locked(tmp_path: Path) -> Deployment:
    """Every function with a route, and a database that nobody can reach."""
    server = Server(port=9, function_port=9, log=tmp_path / "none")
    deployment = Deployment(server=server, database="none", folder=tmp_path)
    deployment.write_secrets()
    for function in set(FUNCTION_OF.values()):
        deployment.environments[function] = deployment.start(
            function, PERMIT_ORIGIN_SECRET=f"{SECRET} {NEW}"
        )
    return deployment


@pytest.mark.parametrize("event", FUNCTION_OF)
@pytest.mark.parametrize(
    "sent",
    [None, "", "x" * 32, SECRET[:-1], f"{SECRET},{SECRET}", f"{SECRET} {NEW}", "é" * 32],
    ids=["none", "empty", "another", "shorter", "twice", "both", "not ASCII"],
)
def test_request_without_the_secret_is_turned_away(
    locked: Deployment, event: str, sent: str | None
) -> None:
    """403 as a problem, on every route, whatever the request asks."""
    answer = locked.send(event, headers={"x-origin-secret": sent})

    assert (403, "origin_not_proven") == (answer.status, answer.body["code"])
    assert set(answer.body) == SHAPE
    assert "application/problem+json" == answer.headers["content-type"]


@pytest.mark.parametrize("event", FUNCTION_OF)
@pytest.mark.parametrize("sent", [SECRET, NEW], ids=["old", "new"])
def test_request_with_either_secret_is_answered(locked: Deployment, event: str, sent: str) -> None:
    """While the secret changes, CloudFront may send the old one or the new one."""
    answer = locked.send(event, headers={"x-origin-secret": sent}, method="TRACE")

    assert 405 == answer.status


def test_turned_away_requests_are_logged(
    locked: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    """With their code, and without what was sent in place of the secret."""
    locked.send("health", headers={"x-origin-secret": "guessed"})

    printed = capsys.readouterr().out
    assert '"code": "origin_not_proven"' in printed
    assert "guessed" not in printed


@pytest.mark.parametrize("text", ["", " ", "short", f"{SECRET} short"])
def test_short_secrets_are_refused(text: str) -> None:
    """Anybody could guess them; the message does not quote them."""
    with pytest.raises(MalformedSecret, match="fewer than 32") as raised:
        parse_origin_secrets(text)

    assert "short" not in str(raised.value)


@pytest.mark.parametrize("headers", [{}, {"x-origin-secret": "\ud800"}])
def test_odd_headers_prove_nothing(headers: dict[str, Any]) -> None:
    """Not even a lone surrogate, which cannot be encoded."""
    assert not is_proven(headers, (SECRET.encode(),))


@pytest.mark.parametrize(
    ("viewer", "expected"),
    [
        pytest.param("198.51.100.10:46532", "198.51.100.10", id="IPv4"),
        pytest.param("2001:db8::1:46532", "2001:db8::1", id="IPv6"),
        pytest.param("[2001:db8::1]:46532", "2001:db8::1", id="IPv6 in brackets"),
        pytest.param("", None, id="none"),
        pytest.param("somewhere:1", None, id="no address"),
    ],
)
def test_viewers_address_is_read_from_cloudfronts_header(viewer: str, expected: str | None) -> None:
    """With or without brackets, and without the port."""
    assert expected == viewer_address({"cloudfront-viewer-address": viewer})
