"""Which handler answers a method and path."""

import pytest

from permit.edge.payload import Response
from permit.edge.refusals import MethodNotAllowed
from permit.edge.router import Router
from permit.errors import NotFound


def handler_of(name: str) -> Response:
    return Response(status_code=200, body=name)


@pytest.fixture
def router() -> Router:
    """Handlers that return their own names; paths with ids are added before similar fixed ones."""
    router = Router()
    for route in (
        "GET /users/{user_id}",
        "DELETE /users/{user_id}",
        "GET /users/me",
        "PATCH /users/me",
        "GET /users/{user_id}/keys/{key_id}",
        "GET /tenants/{tenant_id}/keys.json",
    ):
        method, path = route.split()
        router.add(method, path, lambda route=route, **_: handler_of(route))
    return router


@pytest.mark.parametrize(
    ("asked", "route", "ids"),
    [
        ("GET /users/me", "GET /users/me", {}),
        ("PATCH /users/me", "PATCH /users/me", {}),
        ("GET /users/7", "GET /users/{user_id}", {"user_id": "7"}),
        ("DELETE /users/7", "DELETE /users/{user_id}", {"user_id": "7"}),
        ("GET /users/é %2F", "GET /users/{user_id}", {"user_id": "é %2F"}),
        (
            "GET /users/7/keys/8",
            "GET /users/{user_id}/keys/{key_id}",
            {"user_id": "7", "key_id": "8"},
        ),
        ("GET /tenants/7/keys.json", "GET /tenants/{tenant_id}/keys.json", {"tenant_id": "7"}),
    ],
)
def test_finds_the_handler_and_the_ids(
    router: Router, asked: str, route: str, ids: dict[str, str]
) -> None:
    """A path of its own comes before one with an id in its place, whichever was added first."""
    handler, found = router.find(*asked.split(" ", 1))

    assert (route, ids) == (handler().body, found)


@pytest.mark.parametrize(
    "path",
    [
        *("", "/", "users/7", "/users", "/users/", "/users/7/", "//users/7", "/users/7/keys/8/9"),
        *("/tenants/7/keys-json", "/USERS/me"),
    ],
)
def test_an_unknown_path_is_not_found(router: Router, path: str) -> None:
    """Whole paths only: nothing is cut off, folded or added."""
    with pytest.raises(NotFound):
        router.find("GET", path)


@pytest.mark.parametrize(
    ("asked", "allowed"),
    [
        ("POST /users/7", "DELETE, GET"),
        ("HEAD /users/7", "DELETE, GET"),
        ("get /users/7", "DELETE, GET"),
        ("DELETE /users/me", "GET, PATCH"),
        ("POST /users/7/keys/8", "GET"),
    ],
)
def test_another_method_says_which_there_are(router: Router, asked: str, allowed: str) -> None:
    """The path's own methods: `me` is not an id, so it cannot be deleted like one."""
    with pytest.raises(MethodNotAllowed) as refusal:
        router.find(*asked.split(" ", 1))

    assert {"Allow": allowed} == refusal.value.headers
