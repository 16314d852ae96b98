"""No answer outgrows Lambda: it is refused and nothing is kept, or a list ends its page earlier."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from permit.contracts import Answer
from permit.edge import api as edge
from permit.edge.payload import Response
from permit.sizes import written_size
from tests.support.deployment import Deployment, Vendor

LARGEST = 5_000_000
# Of each kind of character, how it grows: none, by its UTF-8, by JSON's escapes.
GROWING = {"ascii": "x", "wide": "😀", "control": "\x01"}
OLD_METADATA = """
    UPDATE permit.licences SET metadata = jsonb_build_object(
        'n', (SELECT jsonb_agg(1e308) FROM generate_series(1, 1000)))
"""


@pytest.fixture
def vendor(deployment: Deployment) -> Vendor:
    return deployment.vendor


def entitlements(character: str = "x", count: int = 200) -> list[str]:
    """As many and as long as they may be."""
    return [f"{number:03}" + character * 61 for number in range(count)]


def passed_on(answer: Any) -> int:
    """In bytes, as Lambda's runtime passes an answer on at its largest."""
    return len(json.dumps({"statusCode": 200, "headers": answer.headers, "body": answer.text}))


def batch(vendor: Vendor, policy_id: str, count: int, **more: Any) -> Any:
    terms = {"policy_id": policy_id, "holder": {"reference": "a customer"}}
    body = {"licences": [terms] * count}
    path = "/v1/licences/batch"
    return vendor.deployment.call("POST", path, body, token=vendor.token, **more)


def pages(vendor: Vendor, path: str, **query: object) -> Iterator[Any]:
    """Every page of a list, each checked for its size."""
    cursor: dict[str, str] = {}
    while True:
        answer = vendor.deployment.call("GET", path, token=vendor.token, query={**query, **cursor})
        assert 200 == answer.status, answer.text
        assert passed_on(answer) <= LARGEST
        yield answer.body["items"]
        if answer.body["next_cursor"] is None:
            return
        cursor = {"cursor": answer.body["next_cursor"]}


def test_an_ordinary_batch_is_far_from_the_limit(vendor: Vendor) -> None:
    """A thousand under a policy with ten features: a fifth of it."""
    policy = vendor.policy(entitlements=[f"a-usual-feature-{n}" for n in range(10)])

    answer = batch(vendor, policy, 1_000)

    assert (201, 1_000) == (answer.status, len(answer.body["licences"]))
    assert 900_000 < passed_on(answer) < 1_400_000


def test_a_batch_that_cannot_be_answered_issues_nothing(vendor: Vendor) -> None:
    """Nor is its Idempotency-Key used up; the refusal says how many are right, and they are."""
    policy = vendor.policy(entitlements=entitlements())
    key = {"idempotency-key": "a-batch"}

    first, again = (batch(vendor, policy, 1_000, headers=key) for _ in range(2))
    [error] = first.body["errors"]
    most = next(int(word) for word in error["message"].split() if word.isdecimal())

    assert (422, "answer_too_large", "licences") == (
        first.status,
        first.body["code"],
        error["field"],
    )
    assert first.body["errors"] == again.body["errors"]
    assert [] == vendor.call("GET", "/v1/licences")["items"]
    assert 422 == batch(vendor, policy, most + 1).status
    issued = batch(vendor, policy, most, headers=key)
    assert (201, most) == (issued.status, len(issued.body["licences"]))
    assert LARGEST * 0.97 < passed_on(issued) <= LARGEST
    assert issued.text == batch(vendor, policy, most, headers=key).text


@pytest.mark.parametrize("character", GROWING.values(), ids=GROWING)
def test_a_batch_is_measured_as_it_is_passed_on(vendor: Vendor, character: str) -> None:
    """A policy's features may be four or seven times as long as they seem."""
    policy = vendor.policy(entitlements=entitlements(character))

    answer = batch(vendor, policy, 1_000)

    assert (422, "answer_too_large") == (answer.status, answer.body["code"])


def test_metadata_is_measured_as_it_will_be_written(vendor: Vendor) -> None:
    """900 numbers that are sent in 6 kB would be 280 kB in every answer."""
    body = f'{{"policy_id": "{vendor.policy()}", "metadata": {{"n": [{"1e308, " * 899}1e308]}}}}'

    answer = vendor.deployment.call("POST", "/v1/licences", token=vendor.token, raw_body=body)

    assert (422, "metadata") == (answer.status, answer.body["errors"][0]["field"])


@pytest.fixture
def with_old_metadata(deployment: Deployment, vendor: Vendor) -> list[str]:
    """Thirty licences that were stored before numbers were measured with each digit: their ids."""
    policy = vendor.policy()
    body = {"licences": [{"policy_id": policy}] * 30}
    issued = vendor.call("POST", "/v1/licences/batch", body, status=201)["licences"]
    deployment.sql(OLD_METADATA)
    return [licence["id"] for licence in issued]


@pytest.mark.parametrize("limit", [1, 25, 100])
def test_old_rows_are_listed_each_once(
    vendor: Vendor, with_old_metadata: list[str], limit: int
) -> None:
    """Some 310 kB each, so a page ends after some 15; every cursor leads on."""
    listed = list(pages(vendor, "/v1/licences", limit=limit))

    assert sorted(with_old_metadata) == sorted(item["id"] for page in listed for item in page)
    assert all(len(page) == 1 if limit == 1 else 14 <= len(page) <= 16 for page in listed[:-1])
    found = list(pages(vendor, "/v1/licences", limit=limit, status="active"))
    assert [len(page) for page in listed] == [len(page) for page in found]


def test_old_rows_are_read_and_mended(vendor: Vendor, with_old_metadata: list[str]) -> None:
    """A change of something else leaves the metadata, a change of the metadata is measured."""
    path = f"/v1/licences/{with_old_metadata[0]}"

    assert 1_000 == len(vendor.call("GET", path)["metadata"]["n"])
    assert 1_000 == len(vendor.call("PATCH", path, {"notes": "x"})["metadata"]["n"])
    key = vendor.call("POST", f"{path}/rotate-key")["key"]
    assert 1_000 == len(vendor.deployment.check(key)["licence"]["metadata"]["n"])
    assert {"n": [1]} == vendor.call("PATCH", path, {"metadata": {"n": [1]}})["metadata"]


@pytest.mark.parametrize("character", GROWING.values(), ids=GROWING)
def test_the_largest_that_can_be_stored_is_answered(vendor: Vendor, character: str) -> None:
    """Each text as long as it may be: by itself, in lists, in a check, in the export."""
    name, deployment = "x" + character * 199, vendor.deployment
    policy = vendor.policy(
        name=name, entitlements=entitlements(character), max_devices=100, meters=meters("p")
    )
    terms = {
        "policy_id": policy,
        "holder": {
            "name": name,
            "reference": name,
            "email": "a@" + ("x" if character == "\x01" else character) * 252,
        },
        "entitlements": [each[::-1] for each in entitlements(character)],
        "metadata": {"a": character * (8_000 // written_size(character))},
        "notes": character * 10_000,
        "meters": meters("l"),
    }
    if character == "x":
        licence = vendor.call("POST", "/v1/licences", terms, status=201)
    else:  # more than a body may have; they may have come one by one
        licence = vendor.licence(**terms)
    for number in range(100):
        device = {"name": name, "platform": name}
        deployment.check(licence["key"], f"fingerprint-number-{number}", device=device)

    full = deployment.send(
        "licence_check", {"key": licence["key"], "device": {"fingerprint": "one-too-many-here"}}
    )

    assert ("TOO_MANY_DEVICES", 100) == (full.body["code"], len(full.body["devices"]))
    assert passed_on(full) < 1_300_000
    for path in ("", "/devices", "/usage"):
        answer = deployment.call(
            "GET", f"/v1/licences/{licence['id']}{path}", token=vendor.token, query={}
        )
        assert 200 == answer.status
        assert passed_on(answer) < 700_000
    exported = deployment.operator("export-tenant", tenant_id=vendor.tenant_id)
    assert len(json.dumps(exported)) < LARGEST


def meters(prefix: str) -> list[dict[str, Any]]:
    return [
        {"name": f"{prefix}{number:02}" + "m" * 61, "limit": 10**15, "period": "hour"}
        for number in range(50)
    ]


def test_a_page_of_events_ends_earlier_too(vendor: Vendor) -> None:
    """An event has what was and what is; of 60 with all the features, a page has some 15."""
    policy = vendor.policy()
    for number in range(60):
        change = json.dumps({"entitlements": entitlements("😀😃"[number % 2])}, ensure_ascii=False)
        vendor.call("PATCH", f"/v1/policies/{policy}", raw_body=change)

    listed = list(pages(vendor, "/v1/audit-events", limit=100, action="policies.change"))

    assert 60 == len({event["id"] for page in listed for event in page})
    assert len(listed) > 1


def test_an_answer_that_was_not_foreseen_is_refused(
    vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the one place that all answers pass: a problem, and nothing is kept."""
    app: Any = vendor.deployment.environment("products")
    path, body = "/v1/products", {"code": "large", "name": "Large"}
    vendor.token  # noqa: B018 (signed in before answers grow)

    def answer(_: Answer, **__: object) -> Response:
        return Response(status_code=201, content_type="application/json", body='"' * LARGEST)

    assert edge.sendable(Response(status_code=200, body="x"))
    monkeypatch.setattr("permit.edge.operations.answer", answer)
    refused = vendor.deployment.call("POST", path, body, token=vendor.token)
    monkeypatch.undo()

    assert app.api.operations
    assert (422, "answer_too_large") == (refused.status, refused.body["code"])
    assert ["editor"] == [each["code"] for each in vendor.call("GET", path)["items"]]


def test_an_old_answer_that_cannot_be_sent_is_refused(
    deployment: Deployment, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that was kept before answers were measured: 422 again and again, never a failure."""
    headers = {"idempotency-key": "a-large-order"}
    policy = vendor.policy(entitlements=entitlements())
    monkeypatch.setattr("permit.sizes.LARGEST_ANSWER", 60_000_000)
    assert 201 == batch(vendor, policy, 1_000, headers=headers).status
    monkeypatch.undo()

    refused = [batch(vendor, policy, 1_000, headers=headers) for _ in range(2)]

    assert [(422, "answer_too_large")] * 2 == [(a.status, a.body["code"]) for a in refused]


def test_the_export_of_a_long_used_meter_has_pages(deployment: Deployment, vendor: Vendor) -> None:
    """A licence that was used in every minute of two days has a thousand; the others follow it."""
    policy = vendor.policy(meters=[{"name": "exports", "limit": None, "period": "PT1M"}])
    licence = vendor.licence(policy)
    deployment.sql(
        """
        INSERT INTO permit.usage (tenant_id, licence_id, meter, period_start, used)
        SELECT %s, %s, m, p, 1
          FROM unnest(ARRAY['exports', 'old']) AS m,
               unnest('-infinity'::timestamptz || ARRAY(SELECT generate_series(
                   '2026-01-01Z'::timestamptz, '2026-01-01Z'::timestamptz + interval '2 days',
                   '1 minute'))) AS p
        """,
        vendor.tenant_id,
        licence["id"],
    )
    seen: list[tuple[str, str | None]] = []
    kinds: list[str] = []
    cursor = None
    while True:
        page = deployment.operator(
            "export-tenant", tenant_id=vendor.tenant_id, cursor=cursor, limit=500
        )
        assert len(json.dumps(page)) <= LARGEST
        kinds += [item["kind"] for item in page["items"]]
        for item in page["items"]:
            told = [item] if item["kind"] == "usage" else item.get("usage") or []
            seen += [(used["meter"], used["period_start"]) for used in told]
        cursor = page["next_cursor"]
        if cursor is None:
            break

    assert 2 * (2 * 24 * 60 + 2) == len(seen) == len(set(seen))
    assert ("old", None) in seen
    assert [1, len(seen) - 1_000] == [kinds.count("licence"), kinds.count("usage")]


def test_an_operators_answer_is_measured_too(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A problem in place of an answer that Lambda would not pass on."""
    monkeypatch.setattr(deployment.environment("operator"), "LARGEST_ANSWER", 100)

    assert "answer_too_large" == deployment.refused("help")["code"]


@pytest.mark.parametrize(
    "number",
    [-(10**4_299), 10**4_299, 1e308, -1e-300, 5e-324, 1.5, -0.0, 1e16, 10**18],
    ids=lambda number: f"{number:.3}" if isinstance(number, float) else str(number)[:6],
)
def test_a_number_comes_back(vendor: Vendor, number: float) -> None:
    """As it was sent, whatever its size, to the vendor and to the program."""
    body = {"policy_id": vendor.policy(), "metadata": {"n": number}}
    issued = vendor.call("POST", "/v1/licences", body, status=201)

    for metadata in (
        issued["metadata"],
        vendor.call("GET", f"/v1/licences/{issued['id']}")["metadata"],
        vendor.deployment.check(issued["key"])["licence"]["metadata"],
    ):
        assert number == type(number)(metadata["n"])
