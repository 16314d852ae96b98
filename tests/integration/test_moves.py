"""A licence moves: to another policy, with what becomes of its term; to another holder."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from permit.db import Database
from permit.licences import licences
from permit.licences.rows import Licence
from tests.support.deployment import Deployment, Vendor
from tests.support.racing import acting, race

NOW = "2027-01-31T10:00:00Z"
YEARLY = {"name": "Yearly", "duration": "P1Y"}
TRIAL = {"name": "Trial", "duration": "P14D"}
FOREVER = {"name": "Forever"}
WAITING = {**TRIAL, "starts": "on_first_check"}
HALF_OVER = {"starts_at": "2026-06-30T00:00:00Z", "expires_at": "2027-06-30T00:00:00Z"}
OVER = {"starts_at": "2026-01-01T00:00:00Z", "expires_at": "2026-06-30T00:00:00Z"}
HOLDER = {"name": "Ada Lovelace", "email": "ada@example.com", "reference": "C-1815"}


@pytest.fixture
def vendor(deployment: Deployment) -> Vendor:
    """Now is a day that not every month has."""
    now = deployment.sql("SELECT permit.clock()")[0][0]
    deployment.pass_time(datetime.fromisoformat(NOW) - now)
    return deployment.vendor


def moved(vendor: Vendor, licence: dict[str, Any], status: int = 200, **body: object) -> Any:
    return vendor.call("PATCH", f"/v1/licences/{licence['id']}", body, status=status)


def transferred(vendor: Vendor, licence: dict[str, Any], status: int = 200, **body: object) -> Any:
    return vendor.call("POST", f"/v1/licences/{licence['id']}/transfer", body, status=status)


def hour(instant: str | None) -> str | None:
    """A test takes some seconds: what counts from now is compared by the hour."""
    return instant and instant[:13]


# From which policy, with what of its own and after what; to which policy; where it ends then.
Ends = dict[str, str | None]
MOVES: dict[str, tuple[dict[str, Any], dict[str, Any], str | None, dict[str, Any], Ends]] = {
    "trial to yearly": (
        *(TRIAL, {}, None, YEARLY),
        {"keep": "2027-02-14T10", "restart": "2028-01-31T10", "extend": "2028-02-14T10"},
    ),
    "yearly to forever": (
        *(YEARLY, HALF_OVER, None, FOREVER),
        {"keep": "2027-06-30T00", "restart": None, "extend": None},
    ),
    "forever to yearly": (
        *(FOREVER, {}, None, YEARLY),
        {"keep": None, "restart": "2028-01-31T10"},
    ),
    "forever to forever": (
        *(FOREVER, {}, None, {"name": "Other"}),
        {"keep": None, "restart": None, "extend": None},
    ),
    "not begun": (
        *(TRIAL, {"starts_at": "2027-03-01T00:00:00Z"}, None, YEARLY),
        {"keep": "2027-03-15T00", "restart": "2028-03-01T00", "extend": "2028-03-15T00"},
    ),
    "waiting": (
        *(WAITING, {}, None, YEARLY),
        {"keep": None, "restart": None, "extend": None},
    ),
    "waiting with an end": (
        *(WAITING, {"expires_at": "2027-05-05T00:00:00Z"}, None, YEARLY),
        {"keep": "2027-05-05T00", "restart": None, "extend": "2028-05-05T00"},
    ),
    "suspended": (
        *(TRIAL, HALF_OVER, "suspend", YEARLY),
        {"keep": "2027-06-30T00", "restart": "2028-01-31T10", "extend": "2028-06-30T00"},
    ),
    "expired": (
        *(TRIAL, OVER, None, YEARLY),
        {"keep": "2026-06-30T00", "restart": "2028-01-31T10", "extend": "2028-01-31T10"},
    ),
    "in grace": (
        *({**YEARLY, "grace": "P1Y"}, OVER, None, YEARLY),
        {"keep": "2026-06-30T00", "restart": "2028-01-31T10", "extend": "2027-06-30T00"},
    ),
}
STATUS = {"not begun": "not_started", "suspended": "suspended"}


@pytest.mark.parametrize(
    ("name", "term"), [(name, term) for name, (*_, ends) in MOVES.items() for term in ends]
)
def test_a_move_says_what_becomes_of_the_term(vendor: Vendor, name: str, term: str) -> None:
    """The end stays, counts anew from now, or comes a term later; the start and the state stay."""
    before, own, action, after, ends = MOVES[name]
    licence = vendor.licence(vendor.policy(**before), **own)
    if action is not None:
        vendor.call("POST", f"/v1/licences/{licence['id']}/{action}")
    policy = vendor.policy(**after)

    answer = moved(vendor, licence, policy_id=policy, term=term)

    assert (policy, ends[term]) == (answer["policy_id"], hour(answer["expires_at"]))
    assert licence["starts_at"] == answer["starts_at"]
    is_over = ends[term] == "2026-06-30T00"
    usual = "not_started" if name.startswith("waiting") else "expired" if is_over else "active"
    assert STATUS.get(name, usual) == answer["status"]


@pytest.mark.parametrize("name", MOVES)
def test_a_move_that_says_nothing_keeps_the_end(vendor: Vendor, name: str) -> None:
    """`keep` is the default."""
    before, own, _, after, ends = MOVES[name]
    licence = vendor.licence(vendor.policy(**before), **own)

    answer = moved(vendor, licence, policy_id=vendor.policy(**after))

    assert ends["keep"] == hour(answer["expires_at"])


@pytest.mark.parametrize(
    ("name", "term"),
    [
        *(("waiting", "keep"), ("waiting", "restart"), ("waiting", "extend")),
        ("waiting with an end", "restart"),
    ],
)
def test_a_waiting_licence_gets_its_end_by_the_policy_it_has_then(
    deployment: Deployment, vendor: Vendor, name: str, term: str
) -> None:
    """With its first check, which begins its term."""
    before, own, _, after, _ = MOVES[name]
    licence = vendor.licence(vendor.policy(**before), **own)
    moved(vendor, licence, policy_id=vendor.policy(**after), term=term)
    deployment.pass_time(timedelta(days=1))

    checked = deployment.check(licence["key"])

    assert ("VALID", "2028-02-01T10") == (checked["code"], hour(checked["licence"]["expires_at"]))


# A waiting licence, what a change that gives it a start says besides, and where it ends then.
BEGUN: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any], str | None]] = {
    "alone": (WAITING, {}, {}, "2027-02-15T00"),
    "and says that there is no end": (WAITING, {}, {"expires_at": None}, "2027-02-15T00"),
    "and an end": (WAITING, {}, {"expires_at": "2027-03-03T03:00:00Z"}, "2027-03-03T03"),
    "with an end already": (WAITING, {"expires_at": "2027-05-05T00:00:00Z"}, {}, "2027-05-05T00"),
    "and takes that away": (
        *(WAITING, {"expires_at": "2027-05-05T00:00:00Z"}, {"expires_at": None}),
        "2027-02-15T00",
    ),
    "and a limit": (WAITING, {}, {"max_devices": 4}, "2027-02-15T00"),
    "in a move": (WAITING, {}, {"policy_id": YEARLY}, "2028-02-01T00"),
    "in a move that keeps": (WAITING, {}, {"policy_id": YEARLY, "term": "keep"}, "2028-02-01T00"),
    "in a move to for ever": (WAITING, {}, {"policy_id": FOREVER}, None),
    "for ever": ({"starts": "on_first_check"}, {}, {}, None),
}


@pytest.mark.parametrize("name", BEGUN)
def test_a_waiting_licence_that_gets_a_start_gets_its_end(
    deployment: Deployment, vendor: Vendor, name: str
) -> None:
    """By the policy that it has then, from that start, as at its issue; none was asked for."""
    before, own, change, end = BEGUN[name]
    licence = vendor.licence(vendor.policy(**before), **own)
    sent = {"starts_at": "2027-02-01T00:00:00Z", **change}
    if "policy_id" in sent:
        sent["policy_id"] = vendor.policy(**sent["policy_id"])

    answer = moved(vendor, licence, **sent)
    deployment.pass_time(timedelta(days=400))
    checked = deployment.check(licence["key"])

    assert (sent["starts_at"], end) == (answer["starts_at"], hour(answer["expires_at"]))
    assert ("VALID" if end is None else "EXPIRED") == checked["code"]
    renewal = deployment.call(
        "POST", f"/v1/licences/{licence['id']}/renew", {"duration": "P1Y"}, token=vendor.token
    )
    assert (409 if end is None else 200) == renewal.status


def test_a_start_that_is_moved_moves_no_end(vendor: Vendor) -> None:
    """Of a licence that does not wait; and its end can be taken away."""
    licence = vendor.licence(vendor.policy(**YEARLY), starts_at="2027-03-01T00:00:00Z")

    later = moved(vendor, licence, starts_at="2027-04-01T00:00:00Z")
    endless = moved(vendor, licence, starts_at="2027-04-02T00:00:00Z", expires_at=None)
    removed = moved(vendor, licence, 422, starts_at=None)

    assert ("2028-03-01T00:00:00Z", None) == (later["expires_at"], endless["expires_at"])
    assert "starts_at" == removed["errors"][0]["field"]


def test_what_has_no_end_is_not_extended(vendor: Vendor) -> None:
    """422: a year more than for ever would be less."""
    licence = vendor.licence()

    answer = moved(vendor, licence, 422, policy_id=vendor.policy(**YEARLY), term="extend")

    assert ["term"] == [error["field"] for error in answer["errors"]]
    assert vendor.call("GET", f"/v1/licences/{licence['id']}")["expires_at"] is None


def test_renewals_go_on_from_a_move(vendor: Vendor) -> None:
    """From where the new term began; an extended one has its days as before."""
    monthly = {"name": "Monthly", "duration": "P1M"}
    restarted = vendor.licence(vendor.policy(**TRIAL))
    extended = vendor.licence(vendor.policy(**monthly))
    moved(vendor, restarted, policy_id=vendor.policy(**monthly), term="restart")
    moved(vendor, extended, policy_id=vendor.policy(**monthly), term="extend")

    ends = [
        vendor.call("POST", f"/v1/licences/{licence['id']}/renew")["expires_at"][:10]
        for licence in (restarted, extended)
        for _ in range(2)
    ]

    assert ["2027-03-31", "2027-04-30", "2027-04-30", "2027-05-31"] == ends


def test_a_repeated_move_changes_nothing(vendor: Vendor) -> None:
    """A request that is sent again does not extend again; so it is one event, with its reason."""
    licence = vendor.licence(vendor.policy(**TRIAL), starts_at="2027-01-31T00:00:00Z")
    body = {"policy_id": vendor.policy(**YEARLY), "term": "extend", "reason": "bought"}

    first, second = (moved(vendor, licence, **body) for _ in range(2))

    assert "2028-02-14T00:00:00Z" == first["expires_at"]
    assert first == second
    [event] = vendor.call("GET", "/v1/audit-events", query={"action": "licences.change"})["items"]
    assert "bought" == event["reason"]
    assert {"policy_id", "expires_at"} == set(event["changes"])
    changed = event["changes"]["expires_at"]
    assert ("2027-02-14T00", "2028-02-14T00") == (changed["from"][:13], changed["to"][:13])


def test_of_moves_at_once_one_extends(deployment: Deployment, vendor: Vendor) -> None:
    """Each takes the licence's lock before it looks where the licence is."""
    licence = vendor.licence(vendor.policy(**TRIAL), starts_at="2027-01-31T00:00:00Z")
    changes = {"policy_id": UUID(vendor.policy(**YEARLY)), "term": "extend"}
    licence_id = UUID(licence["id"])

    def move(database: Database, tenant_id: UUID) -> Licence:
        return licences.change(database, tenant_id, licence_id, changes)

    outcomes = race(deployment, [acting(vendor.api_key("admin"), move)] * 4, function="licences")

    end = datetime.fromisoformat("2028-02-14T00:00:00Z")
    assert {end} == {outcome.expires_at for outcome in outcomes}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"term": "restart"}, "term"),
        ({"term": "keep", "notes": "x"}, "term"),
        ({"policy_id": "{other}", "term": "shorten"}, "term"),
        ({"policy_id": "{other}", "term": None}, "term"),
        (
            {"policy_id": "{other}", "term": "restart", "expires_at": "2030-01-01T00:00:00Z"},
            "expires_at",
        ),
        (
            {"policy_id": "{other}", "term": "extend", "starts_at": "2027-01-01T00:00:00Z"},
            "starts_at",
        ),
    ],
    ids=str,
)
def test_a_term_is_part_of_a_move(vendor: Vendor, body: dict[str, Any], field: str) -> None:
    """422 without a policy, with another end, or with no word that is known; nothing moves."""
    licence = vendor.licence(vendor.policy(**TRIAL))
    other = vendor.policy(**YEARLY)
    sent = {name: other if value == "{other}" else value for name, value in body.items()}

    answer = moved(vendor, licence, 422, **sent)

    assert field == answer["errors"][0]["field"]
    read = vendor.call("GET", f"/v1/licences/{licence['id']}")
    assert licence["expires_at"] == read["expires_at"]


def test_a_move_may_set_the_end_itself(vendor: Vendor) -> None:
    """With `keep`, or without a word."""
    end = "2030-01-01T00:00:00Z"
    for more in ({}, {"term": "keep"}):
        licence = vendor.licence(vendor.policy(**TRIAL))
        body = {"policy_id": vendor.policy(**YEARLY), "expires_at": end, **more}

        assert end == moved(vendor, licence, **body)["expires_at"]


def test_a_move_to_fewer_seats_refuses_the_last(deployment: Deployment, vendor: Vendor) -> None:
    """As a lowered limit does: in the order in which the seats were taken, whatever the term."""
    licence = vendor.licence(vendor.policy(**TRIAL, max_devices=3))
    devices = [f"fingerprint-of-machine-{n}" for n in range(3)]
    before = [deployment.check(licence["key"], device)["code"] for device in devices]

    answer = moved(
        vendor, licence, policy_id=vendor.policy(**YEARLY, max_devices=2), term="restart"
    )

    assert ["VALID"] * 3 == before
    assert (2, 3) == (answer["seat_limit"], answer["devices_used"])
    after = [deployment.check(licence["key"], device)["code"] for device in devices]
    assert ["VALID", "VALID", "TOO_MANY_DEVICES"] == after


def test_extensions_end_somewhere(vendor: Vendor) -> None:
    """422 before a year that no timestamp knows, and the licence has not moved."""
    licence = vendor.licence(vendor.policy(**YEARLY), expires_at="8950-01-01T00:00:00Z")
    centuries = vendor.policy(name="Centuries", duration="P100Y")

    answer = moved(vendor, licence, 422, policy_id=centuries, term="extend")

    assert "term" == answer["errors"][0]["field"]
    assert centuries != vendor.call("GET", f"/v1/licences/{licence['id']}")["policy_id"]


def test_a_licence_is_given_to_another_holder(deployment: Deployment, vendor: Vendor) -> None:
    """Nothing of the old one stays, in no answer, no search, no event and no export."""
    licence = vendor.licence(holder=HOLDER, notes="pays late")
    deployment.check(licence["key"])

    answer = transferred(vendor, licence, holder={"name": "Grace Hopper"}, reason="sold on")

    assert {"name": "Grace Hopper", "email": None, "reference": None} == answer["holder"]
    assert (None, 1, "pays late") == (answer["key"], answer["devices_used"], answer["notes"])
    assert "VALID" == deployment.check(licence["key"])["code"]
    found = {
        text: len(vendor.call("GET", "/v1/licences", query={name: text})["items"])
        for name in ("holder", "q")
        for text in ("Ada", "ada@", "C-18", "grace")
    }
    assert {"Ada": 0, "ada@": 0, "C-18": 0, "grace": 1} == found
    [event] = vendor.call("GET", "/v1/audit-events", query={"action": "licences.transfer"})["items"]
    named = {"holder.name": {}, "holder.email": {}, "holder.reference": {}}
    assert ("sold on", named) == (event["reason"], event["changes"])
    kept = str(vendor.deployment.operator("export-tenant", tenant_id=vendor.tenant_id))
    assert "Grace Hopper" in kept
    assert not any(text in kept for text in HOLDER.values())


def test_a_transfer_takes_the_old_holder_s_key_and_seats(
    deployment: Deployment, vendor: Vendor
) -> None:
    """If asked, in the same call: the new holder begins with every seat free."""
    licence = vendor.licence(vendor.policy(max_devices=3), holder=HOLDER)
    path = f"/v1/licences/{licence['id']}/devices"
    devices = [
        deployment.check(licence["key"], f"fingerprint-of-machine-{n}")["device"]["id"]
        for n in range(3)
    ]
    vendor.call("POST", f"{path}/{devices[2]}/block")

    answer = transferred(
        vendor, licence, holder={"name": "Grace"}, release_devices=True, rotate_key=True
    )

    states = {item["id"]: item["state"] for item in vendor.call("GET", path)["items"]}
    assert dict(zip(devices, ("released", "released", "blocked"), strict=True)) == states
    assert (0, answer["key"][-5:]) == (answer["devices_used"], answer["key_hint"])
    assert "KEY_REPLACED" == deployment.check(licence["key"], "fingerprint-of-machine-0")["code"]
    checked = deployment.check(answer["key"], "fingerprint-of-a-new-one")
    assert ("VALID", 1) == (checked["code"], checked["licence"]["devices_used"])
    assert "key" not in vendor.call("GET", f"/v1/licences/{licence['id']}")
    told = [
        (event["subject"]["kind"], sorted(event["changes"]))
        for event in vendor.call("GET", "/v1/audit-events")["items"]
        if event["action"] == "licences.transfer"
    ]
    holder = ["holder.email", "holder.name", "holder.reference"]
    assert [
        *[("device", ["state"])] * 2,
        *(("licence", holder), ("licence", ["key_hint"])),
    ] == sorted(told)


@pytest.mark.parametrize("releases", [True, False])
def test_a_transfer_forgets_what_the_devices_were_called(
    deployment: Deployment, vendor: Vendor, releases: bool
) -> None:
    """In each list, also of one that keeps its seat or comes back, until its program says it."""
    licence = vendor.licence(vendor.policy(max_devices=1), holder=HOLDER)
    old, new = "fingerprint-of-the-old-holder", "fingerprint-of-the-new-holder"
    first = deployment.check(licence["key"], "fingerprint-that-is-blocked", device={"name": "Bad"})
    path = f"/v1/licences/{licence['id']}/devices"
    vendor.call("POST", f"{path}/{first['device']['id']}/block")
    deployment.check(licence["key"], old, device={"name": "Ada's MacBook", "platform": "macos"})

    answer = transferred(
        vendor, licence, holder={"name": "Grace"}, release_devices=releases, rotate_key=True
    )
    deployment.check(answer["key"], old)
    full = deployment.check(answer["key"], new)

    assert ("TOO_MANY_DEVICES", [None]) == (full["code"], [d["name"] for d in full["devices"]])
    listed = {item["state"]: item["name"] for item in vendor.call("GET", path)["items"]}
    assert {"seated": None, "blocked": None} == listed
    assert "Ada" not in str(vendor.call("GET", "/v1/audit-events")["items"])
    deployment.pass_time(timedelta(minutes=6))
    deployment.check(answer["key"], old, device={"name": "Grace's PC"})
    repeated = transferred(vendor, licence, holder={"name": "Grace"})
    full = deployment.check(answer["key"], new)
    assert (answer["holder"], ["Grace's PC"]) == (
        repeated["holder"],
        [each["name"] for each in full["devices"]],
    )


def test_a_transfer_gives_back_seats_alone(deployment: Deployment, vendor: Vendor) -> None:
    """The key stays, and the answer counts the seats as they are then."""
    floating = vendor.policy(max_devices=2, seat_ttl="PT1H")
    licence = vendor.licence(floating)
    deployment.check(licence["key"])
    deployment.check(licence["key"], "fingerprint-of-another")

    answer = transferred(vendor, licence, holder={}, release_devices=True)

    assert (0, None) == (answer["devices_used"], answer["key"])
    assert "VALID" == deployment.check(licence["key"], "fingerprint-of-a-third")["code"]


def test_a_transferred_key_may_overlap(deployment: Deployment, vendor: Vendor) -> None:
    """Both work until the overlap ends."""
    licence = vendor.licence()

    answer = transferred(vendor, licence, holder=HOLDER, rotate_key=True, overlap="P1D")

    for key in (licence["key"], answer["key"]):
        assert "VALID" == deployment.check(key)["code"]
    deployment.pass_time(timedelta(days=2))
    assert "KEY_REPLACED" == deployment.check(licence["key"])["code"]


def test_a_repeated_transfer_changes_nothing(deployment: Deployment, vendor: Vendor) -> None:
    """Without another key; with one, the Idempotency-Key gives the same key again."""
    licence = vendor.licence()
    headers = {"idempotency-key": "a-transfer-that-came-twice"}
    path, body = f"/v1/licences/{licence['id']}/transfer", {"holder": HOLDER}

    plain = [vendor.call("POST", path, body) for _ in range(2)]
    events = vendor.call("GET", "/v1/audit-events", query={"action": "licences.transfer"})
    body = {**body, "rotate_key": True}
    keyed = [vendor.call("POST", path, body, headers=headers) for _ in range(2)]

    assert plain[0] == plain[1]
    assert 1 == len(events["items"])
    assert keyed[0] == keyed[1]
    assert "VALID" == deployment.check(keyed[1]["key"])["code"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "holder"),
        ({"holder": None}, "holder"),
        ({"holder": {"role": "owner"}}, "holder.role"),
        ({"holder": {}, "overlap": "P1D"}, "overlap"),
        ({"holder": {}, "release_devices": "yes"}, "release_devices"),
        ({"holder": {}, "rotate_key": True, "overlap": "P2Y"}, "overlap"),
    ],
    ids=str,
)
def test_a_bad_transfer_is_refused(vendor: Vendor, body: dict[str, Any], field: str) -> None:
    """422 with the field, and the holder stays."""
    licence = vendor.licence(holder=HOLDER)

    answer = transferred(vendor, licence, 422, **body)

    assert field == answer["errors"][0]["field"]
    assert HOLDER == vendor.call("GET", f"/v1/licences/{licence['id']}")["holder"]


def test_a_revoked_licence_is_not_transferred(deployment: Deployment, vendor: Vendor) -> None:
    """409, and nothing of it changes."""
    licence = vendor.licence(holder=HOLDER)
    deployment.check(licence["key"])
    revoked = vendor.call("POST", f"/v1/licences/{licence['id']}/revoke")

    answer = transferred(vendor, licence, 409, holder={}, release_devices=True, rotate_key=True)

    assert "licence_revoked" == answer["code"]
    assert revoked == vendor.call("GET", f"/v1/licences/{licence['id']}")
