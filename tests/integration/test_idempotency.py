"""Idempotency-Key: the same request gets its first answer, whatever raced."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from permit.contracts import Answer
from permit.db import Database
from permit.edge import idempotency
from permit.edge.api import answer
from permit.edge.idempotency import SentRequest
from permit.licences import licences
from permit.licences.terms import LicenceRequest
from tests.support.deployment import Deployment, Vendor
from tests.support.racing import acting, race

KEY = "an-order-of-a-web-shop-1"


@pytest.fixture
def vendor(deployment: Deployment) -> Vendor:
    return deployment.vendor


def send(vendor: Vendor, path: str, body: dict[str, Any], key: str = KEY, **more: Any) -> Any:
    headers = {"idempotency-key": key}
    more.setdefault("token", vendor.token)
    return vendor.deployment.call("POST", path, body, headers=headers, **more)


def test_the_first_answer_is_given_again(vendor: Vendor) -> None:
    """Byte for byte, with the licence key in it; one licence is issued."""
    body = {"policy_id": vendor.policy()}

    first, second = (send(vendor, "/v1/licences", body) for _ in range(2))

    assert (201, 201) == (first.status, second.status)
    assert first.text == second.text
    assert "true" == second.headers["idempotent-replayed"]
    assert 1 == len(vendor.call("GET", "/v1/licences")["items"])


def test_another_body_or_route_under_the_key_is_refused(vendor: Vendor) -> None:
    """422 and nothing is made; so is another caller's."""
    policy = vendor.policy()
    send(vendor, "/v1/licences", {"policy_id": policy})

    answers = [
        send(vendor, "/v1/licences", {"policy_id": policy, "notes": "x"}),
        send(vendor, "/v1/products", {"code": "other", "name": "Other"}),
        send(vendor, "/v1/licences", {"policy_id": policy}, token=vendor.api_key("issuer")),
    ]

    assert [(422, "idempotency_key_reused")] * 3 == [(a.status, a.body["code"]) for a in answers]
    assert 1 == len(vendor.call("GET", "/v1/licences")["items"])


def test_a_refused_request_uses_no_key_up(vendor: Vendor) -> None:
    """A request that was refused can be corrected and sent again."""
    wrong = send(vendor, "/v1/products", {"code": "editor", "name": "Again"})
    right = send(vendor, "/v1/products", {"code": "editor-2", "name": "Again"})

    assert (409, 201) == (wrong.status, right.status)


def test_another_tenant_has_keys_of_its_own(deployment: Deployment, vendor: Vendor) -> None:
    """The same key there is another one."""
    other = Vendor.create(deployment, "other@example.com", code="other")
    body = {"code": "same", "name": "Same"}

    assert 201 == send(vendor, "/v1/products", body).status
    assert 201 == send(other, "/v1/products", body, token=other.token).status


def test_a_key_is_forgotten_after_a_day(deployment: Deployment, vendor: Vendor) -> None:
    """Then it may serve again, swept or not."""
    body = {"policy_id": vendor.policy()}
    first = send(vendor, "/v1/licences", body)
    deployment.pass_time(timedelta(hours=25))

    second = send(vendor, "/v1/licences", body)

    assert first.body["id"] != second.body["id"]
    deployment.pass_time(timedelta(hours=25))
    deployment.invoke("sweep", {})
    assert [] == deployment.sql("SELECT * FROM permit.idempotent_answers")


@pytest.mark.parametrize("key", ["", "short", "x" * 129, "with a blank in its middle", "ä" * 30])
def test_a_bad_key_is_refused(vendor: Vendor, key: str) -> None:
    """422 that names the header."""
    refused = send(vendor, "/v1/products", {"code": "x1", "name": "x"}, key)

    assert (422, "idempotency-key") == (refused.status, refused.body["errors"][0]["field"])


def test_a_race_makes_one_licence(deployment: Deployment, vendor: Vendor) -> None:
    """Eight at once: one does it, seven wait and get its answer."""

    class Told(Answer):
        key: str

    order = LicenceRequest(policy_id=UUID(vendor.policy()))
    sent = SentRequest(key=KEY, digest=idempotency.request_digest("the same"))

    def issue(database: Database, tenant_id: Any) -> str:
        made = idempotency.answer_once(
            database,
            sent,
            lambda: answer(Told(key=licences.issue(database, tenant_id, order).key), status=201),
        )
        assert made.body is not None
        return str(made.body)

    answers = race(deployment, [acting(vendor.api_key("issuer"), issue)] * 8, function="licences")

    assert 1 == len(set(answers))
    assert 1 == len(vendor.call("GET", "/v1/licences")["items"])
