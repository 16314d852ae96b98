"""Idempotency-Key: the same request gets its first answer, whatever raced."""

import hashlib
import json
from datetime import timedelta
from itertools import count, pairwise
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
from permit.security.answer_seals import AnswerSeal, seals_of
from tests.support.deployment import Deployment, Vendor
from tests.support.racing import acting, race

KEY = "an-order-of-a-web-shop-1"
KNOWN_KEYS = [(b"a" * 32, b"b" * 32), (b"b" * 32, b"a" * 32)]


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


def test_a_key_is_forgotten_after_seven_days(deployment: Deployment, vendor: Vendor) -> None:
    """Payment webhooks repeat for three. Then it may serve again, swept or not."""
    body = {"policy_id": vendor.policy()}
    first = send(vendor, "/v1/licences", body)
    deployment.pass_time(timedelta(days=6, hours=23))
    deployment.invoke("sweep", {})
    last = send(vendor, "/v1/licences", body)
    deployment.pass_time(timedelta(hours=2))

    second = send(vendor, "/v1/licences", body)

    assert first.text == last.text
    assert first.body["id"] != second.body["id"]
    deployment.pass_time(timedelta(days=7, hours=1))
    deployment.invoke("sweep", {})
    assert [] == deployment.sql("SELECT * FROM permit.idempotent_answers")


@pytest.mark.parametrize("key", ["", "x" * 256, "with a blank in its middle", "ä" * 30])
def test_a_bad_key_is_refused(vendor: Vendor, key: str) -> None:
    """422 that names the header."""
    refused = send(vendor, "/v1/products", {"code": "x1", "name": "x"}, key)

    assert (422, "idempotency-key") == (refused.status, refused.body["errors"][0]["field"])


@pytest.mark.parametrize("key", ["1", "~" * 21, "k" * 22, "k" * 128, "k" * 129, '"!' + "k" * 253])
def test_a_key_has_1_to_255_characters(deployment: Deployment, vendor: Vendor, key: str) -> None:
    """And is nobody else's: neither another tenant's nor another caller's, however short."""
    body = {"policy_id": vendor.policy()}
    other = Vendor.create(deployment, "other@example.com", code="other")
    orders = {"policy_id": other.policy()}

    first, again = (send(vendor, "/v1/licences", body, key) for _ in range(2))
    elsewhere = send(other, "/v1/licences", orders, key, token=other.token)
    foreign = send(vendor, "/v1/licences", body, key, token=vendor.api_key("issuer"))

    assert (201, 201, 422) == (first.status, elsewhere.status, foreign.status)
    assert first.text == again.text
    assert first.body["id"] != elsewhere.body["id"]
    assert "idempotency_key_reused" == foreign.body["code"]


def test_a_short_key_is_not_to_be_found_in_the_database(
    deployment: Deployment, vendor: Vendor
) -> None:
    """Not as any plain hash of it, with the tenant or without."""
    send(vendor, "/v1/licences", {"policy_id": vendor.policy()}, "1")

    [(kept,)] = deployment.sql("SELECT key_hash FROM permit.idempotent_answers")

    tenant = UUID(vendor.tenant_id)
    for material in (b"1", tenant.bytes + b"1", str(tenant).encode() + b"1"):
        assert hashlib.sha256(material).digest() != bytes(kept)


def test_answers_outlive_a_change_of_the_servers_key(
    deployment: Deployment, vendor: Vendor
) -> None:
    """In its three steps, each served by environments that know it and the one before."""
    body, file = {"policy_id": vendor.policy()}, deployment.folder / "answer-keys"
    old, new = file.read_text(), "ab" * 32
    steps = {}
    for step, text in {"a": old, "b": f"{old} {new}", "c": f"{new} {old}", "d": new}.items():
        file.write_text(text)
        steps[step] = deployment.start("licences")

    def ask(step: str, key: str) -> Any:
        deployment.environments["licences"] = steps[step]
        file.write_text({"a": old, "b": f"{old} {new}", "c": f"{new} {old}", "d": new}[step])
        return send(vendor, "/v1/licences", body, key)

    for number, (before, after) in enumerate(pairwise("abcd")):
        for key in (f"{number}", f"an-order-of-a-web-shop-{number}"):
            first = ask(before, key)
            assert (201, first.text) == (201, ask(after, key).text)
            later = ask(after, f"{key}-2")
            assert (201, later.text) == (201, ask(before, f"{key}-2").text)
    assert 12 == len(vendor.call("GET", "/v1/licences", query={"limit": 100})["items"])


def test_a_key_of_the_server_that_came_too_early_makes_nothing_twice(
    deployment: Deployment, vendor: Vendor
) -> None:
    """An environment that does not know it refuses the request, until it reads the new value."""
    body, file = {"policy_id": vendor.policy()}, deployment.folder / "answer-keys"
    old = file.read_text()
    unaware = deployment.start("licences")
    deployment.environments["licences"] = unaware
    assert 201 == send(vendor, "/v1/licences", body, "0").status
    file.write_text(f"{'ab' * 32} {old}")
    deployment.environments["licences"] = deployment.start("licences")
    first = send(vendor, "/v1/licences", body, "1")
    deployment.environments["licences"] = unaware

    refused = send(vendor, "/v1/licences", body, "1")

    assert (201, 422) == (first.status, refused.status)
    assert "idempotency_key_reused" == refused.body["code"]


def test_what_the_release_before_keeps_ends_after_a_day(
    deployment: Deployment, vendor: Vendor
) -> None:
    """Sealed by the caller's key alone: this release gives it again until then."""
    body = {"policy_id": vendor.policy()}
    made = send(vendor, "/v1/licences", body)
    seal = AnswerSeal.previous(KEY)
    told = json.dumps({"status": 201, "body": made.text})
    deployment.sql("DELETE FROM permit.idempotent_answers WHERE sealed IS NOT NULL")
    deployment.sql(
        """
        UPDATE permit.idempotent_answers
           SET sealed = %s, kept_until = created_at + interval '24 hours'
         WHERE key_hash = %s
        """,
        seal.seal(told.encode()),
        seal.name,
    )

    again = send(vendor, "/v1/licences", body)
    deployment.pass_time(timedelta(hours=25))
    other = send(vendor, "/v1/licences", body)

    assert made.text == again.text
    assert (201, "false") == (other.status, other.headers.get("idempotent-replayed", "false"))


def test_a_race_makes_one_licence(deployment: Deployment, vendor: Vendor) -> None:
    """Eight at once: one does it, seven wait and get its answer."""

    class Told(Answer):
        key: str

    order = LicenceRequest(policy_id=UUID(vendor.policy()))
    digest, order_of_keys = idempotency.request_digest("the same"), count()

    def issue(database: Database, tenant_id: Any) -> str:
        # While the server's key changes, an environment may know one more or another order.
        keys = KNOWN_KEYS[next(order_of_keys) % len(KNOWN_KEYS)]
        seals = seals_of(keys, tenant_id=tenant_id, caller_key=KEY)
        sent = SentRequest(seals=seals, digest=digest)
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
