"""The sweep: it clears what is over, touches nothing else, and publishes what it found."""

import io
import json
from datetime import timedelta
from typing import Any

import pytest

from tests.support.deployment import Deployment

DAY = timedelta(days=1)
NOTHING = {
    "seats_lapsed": 0,
    "sessions_ended": 0,
    "throttles_ended": 0,
    "swaps_forgotten": 0,
    "seats_taken": 0,
    "answers_forgotten": 0,
    "usages_forgotten": 0,
    "links_ended": 0,
    "addresses_forgotten": 0,
}


def sweep(deployment: Deployment) -> dict[str, Any]:
    return deployment.invoke("sweep", {})


def test_nothing_to_do(deployment: Deployment) -> None:
    """An empty database gives zeros."""
    assert NOTHING == sweep(deployment)


def test_seats_lapse(deployment: Deployment) -> None:
    """A floating seat that was not checked for its time; a node-locked one never."""
    vendor = deployment.vendor
    floating = vendor.licence(vendor.policy(seat_ttl="PT10M", max_devices=2))
    locked = vendor.licence(vendor.policy(max_devices=2))
    for key in (floating["key"], locked["key"]):
        deployment.check(key, "fingerprint-number-1")
    deployment.pass_time(timedelta(minutes=7))
    deployment.check(floating["key"], "fingerprint-number-2")
    deployment.pass_time(timedelta(minutes=7))

    counts = sweep(deployment)

    assert {**NOTHING, "seats_lapsed": 1, "seats_taken": 2} == counts
    assert {**NOTHING, "seats_taken": 2} == sweep(deployment)
    [(state,)] = deployment.sql(
        "SELECT state FROM permit.devices WHERE licence_id = %s ORDER BY first_seen_at LIMIT 1",
        floating["id"],
    )
    assert "lapsed" == state


@pytest.mark.parametrize("command", ["block-device", "release-device"])
def test_a_device_without_a_seat_stays_as_it_is(deployment: Deployment, command: str) -> None:
    """Especially a block: the sweep never lifts one, however old it is."""
    vendor = deployment.vendor
    licence = vendor.licence(vendor.policy(seat_ttl="PT10M", max_devices=1))
    device = deployment.check(licence["key"])["device"]["id"]
    vendor.command(command, licence, device_id=device)
    before = deployment.sql("SELECT state FROM permit.devices")
    deployment.pass_time(1000 * DAY)

    assert NOTHING == sweep(deployment)
    assert before == deployment.sql("SELECT state FROM permit.devices")


def test_sessions_are_cleared_with_their_tokens(deployment: Deployment) -> None:
    """Once expired, or a week after they ended; a replay is recognised until then."""
    deployment.operator("rotate-token-key")
    user = {"email": deployment.vendor.email, "password": deployment.vendor.password}
    tokens = [deployment.send("login", user).body["refresh_token"] for _ in range(2)]
    deployment.send("login_logout", {"refresh_token": tokens[0]})

    deployment.pass_time(6 * DAY)
    early = sweep(deployment)
    deployment.pass_time(2 * DAY)
    ended = sweep(deployment)
    deployment.pass_time(83 * DAY)
    expired = sweep(deployment)

    assert [0, 1, 1] == [counts["sessions_ended"] for counts in (early, ended, expired)]
    assert [(0,)] == deployment.sql("SELECT count(*) FROM permit.refresh_tokens")


def test_swaps_are_forgotten_after_thirty_days(deployment: Deployment) -> None:
    """When none of them counts against max_releases any more."""
    licence = deployment.vendor.licence()
    deployment.check(licence["key"])
    deployment.release(licence["key"], fingerprint="fingerprint-of-a-machine")

    deployment.pass_time(29 * DAY)
    early = sweep(deployment)
    deployment.pass_time(2 * DAY)

    assert (0, 1) == (early["swaps_forgotten"], sweep(deployment)["swaps_forgotten"])


def test_a_locked_seat_is_left_for_next_time(deployment: Deployment) -> None:
    """The sweep waits for nobody."""
    vendor = deployment.vendor
    licence = vendor.licence(vendor.policy(seat_ttl="PT10M", max_devices=1))
    deployment.check(licence["key"])
    deployment.pass_time(timedelta(minutes=13))

    with deployment.server.connect(deployment.database) as holder, holder.transaction():
        holder.execute("SELECT 1 FROM permit.devices FOR UPDATE")
        held = sweep(deployment)

    assert (0, 1) == (held["seats_lapsed"], sweep(deployment)["seats_lapsed"])


def folded(deployment: Deployment) -> dict[str, list[str | None]]:
    rows = deployment.sql(
        """
        SELECT id::text, holder_name_folded, holder_email_folded, holder_reference_folded
          FROM permit.licences
        """
    )
    return {licence: texts for licence, *texts in rows}


PASSWORD = "a long enough passphrase"
NOBODY = "00000000-0000-0000-0000-000000000000"


def forget_folding(deployment: Deployment) -> None:
    """As on the day of the upgrade: holders folded as Postgres does in the C locale."""
    deployment.sql("ALTER TABLE permit.licences DISABLE TRIGGER fold_anew")
    deployment.sql(
        """
        UPDATE permit.licences
           SET holder_name_folded = lower(holder_name COLLATE "C"),
               holder_email_folded = lower(holder_email COLLATE "C"),
               holder_reference_folded = lower(holder_reference COLLATE "C")
        """
    )
    deployment.sql("ALTER TABLE permit.licences ENABLE TRIGGER fold_anew")
    deployment.sql("INSERT INTO permit.holder_folding VALUES (%s, %s)", NOBODY, NOBODY)


def test_holders_are_folded_anew_once(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In pieces, each going on where the last one ended; then there is nothing left to do."""
    sweep(deployment)
    vendor = deployment.vendor
    holders: list[dict[str, str]] = [
        {"name": "İstanbul A.Ş.", "reference": "ÄÖÜ"},
        {"name": "Ann", "email": "Ann@Example.com"},
        {"email": "ÖDÖN@example.com"},
        {},
        {"name": "Straße", "reference": "A\u030angstro\u0308m"},
        {"name": " Grace\u00a0\u200b Hopper ", "reference": "Ｆｕｌｌ\u3000width"},
        {"name": "Alan\n\tTuring", "reference": "C-1815 "},
    ]
    policy = vendor.policy()
    licences = [vendor.licence(policy, holder=holder)["id"] for holder in holders]
    expected = folded(deployment)
    forget_folding(deployment)
    revisions = "SELECT id::text, revision FROM permit.licences"
    before = dict(deployment.sql(revisions))
    monkeypatch.setattr("permit.upkeep._BATCH", 2)
    monkeypatch.setattr("permit.upkeep._FOLDING_SECONDS", 0)

    wrong = []
    for _ in range(5):
        wrong.append(sum(folded(deployment)[each] != expected[each] for each in licences))
        sweep(deployment)

    assert expected == folded(deployment)
    assert 5 == wrong[0]
    assert sorted(wrong, reverse=True) == wrong
    assert [] == deployment.sql("SELECT * FROM permit.holder_folding")
    plain = {licences[1], licences[3]}
    after = dict(deployment.sql(revisions))
    assert plain == {each for each in licences if before[each] == after[each]}
    queries = ["istanbul", "äöü", "ödön", "strasse", "ångström"]
    queries += ["Grace Hopper", "full width", "alan turing", "\ufeffc-1815\r\n"]
    for query in queries:
        assert 1 == len(vendor.call("GET", "/v1/licences", query={"q": query})["items"]), query


def test_a_holder_who_changes_meanwhile_stays_changed(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was read before the change is not kept after it."""
    vendor = deployment.vendor
    licence = vendor.licence(holder={"name": "Änne"})
    forget_folding(deployment)
    fold = deployment.environment("sweep").upkeep.fold

    def change_and_fold(text: str) -> str:
        changed = {"holder": {"name": "Ödön"}}
        vendor.call("PATCH", f"/v1/licences/{licence['id']}", changed)
        return fold(text)

    monkeypatch.setattr("permit.upkeep.fold", change_and_fold)
    sweep(deployment)

    assert [["ödön", None, None]] == [*folded(deployment).values()]


def test_what_the_release_before_writes_is_put_right(deployment: Deployment) -> None:
    """It folds the i of Turkish as another letter, and keeps blanks and what nobody sees."""
    holder = {"name": "Iğdır\u00a0 Ｌｔｄ ", "reference": "İz\u200bmir\n"}
    licence = deployment.vendor.licence(holder=holder)
    right = folded(deployment)

    deployment.sql(
        """
        UPDATE permit.licences
           SET holder_name_folded = %s, holder_reference_folded = U&'i\\0307z\\200bmir\\000a'
        """,
        "iğdır\u00a0 ｌｔｄ ",
    )

    assert right == folded(deployment)
    assert ["iğdir ltd", None, "izmir"] == right[licence["id"]]


def test_emails_are_folded_anew_once(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever was let in with an invisible character signs in by what they type, and their links
    go on. Where two are one now, who had it plain keeps it, else the older; the other is told."""
    vendor = deployment.vendor
    assert vendor.token
    sweep(deployment)
    emails = {
        "inv\u200b@example.com": "inv@example.com",
        "soft\u00adhyphen@example.com": "softhyphen@example.com",
        "\ufeffol\u200bder@example.com": "older@example.com",
        "old\u2060er@example.com": "old\u2060er@example.com",
        "pla\u200bin@example.com": "pla\u200bin@example.com",
        "plain@example.com": "plain@example.com",
    }
    for n, stored in enumerate(emails):
        placed = f"user-{n}@example.com"
        deployment.operator(
            "create-user", tenant_id=vendor.tenant_id, email=placed, password=PASSWORD
        )
        deployment.sql("UPDATE permit.users SET email = %s WHERE email = %s", stored, placed)
    ids = dict(deployment.sql("SELECT email, id::text FROM permit.users"))
    path = f"/v1/users/{ids['inv' + chr(0x200B) + '@example.com']}/password-reset"
    link = vendor.call("POST", path, status=201)["token"]
    deployment.sql("INSERT INTO permit.email_folding VALUES ('-infinity', %s)", NOBODY)
    monkeypatch.setattr("permit.upkeep._BATCH", 2)
    monkeypatch.setattr("permit.upkeep._FOLDING_SECONDS", 0)

    def log_in(email: str) -> int:
        return deployment.send("login", {"email": email, "password": PASSWORD}).status

    before = log_in("inv@example.com")
    written = io.StringIO()
    monkeypatch.setattr(
        deployment.environment("sweep").logger.registered_handler, "stream", written
    )
    for _ in range(4):
        sweep(deployment)
    told = [json.loads(line) for line in written.getvalue().splitlines()]

    kept = {
        user: email for email, user in deployment.sql("SELECT email, id::text FROM permit.users")
    }
    assert emails == {stored: kept[ids[stored]] for stored in emails}
    assert [] == deployment.sql("SELECT * FROM permit.email_folding")
    assert {"email_taken"} == {line["message"] for line in told}
    assert {ids["old\u2060er@example.com"], ids["pla\u200bin@example.com"]} == {
        line["user_id"] for line in told
    }
    assert 2 == len(told)
    assert "@" not in json.dumps(told)
    assert (401, 200) == (before, log_in("inv@example.com"))
    assert 200 == log_in("soft\u00adhyphen@example.com")
    body = {"token": link, "password": "another long passphrase"}
    assert 204 == deployment.call("POST", "/v1/users/reset-password", body).status


def test_the_dashboard_gets_its_figures(
    deployment: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    """One EMF line, in the namespace that the template's alarms and dashboard read."""
    deployment.check(deployment.vendor.licence()["key"])
    capsys.readouterr()

    sweep(deployment)

    [line] = [line for line in capsys.readouterr().out.splitlines() if "_aws" in line]
    published = json.loads(line)
    assert "Permit" == published["_aws"]["CloudWatchMetrics"][0]["Namespace"]
    assert [1.0] == published["SeatsTaken"]
    assert [0.0] == published["SeatsLapsed"]
