"""One-time links: they outlive neither their reason nor their maker, and leave a trace."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import bcrypt
import psycopg
import pytest

from permit.db import Database
from permit.people.queries import users
from permit.security import api_keys
from tests.support.authenticator import code
from tests.support.deployment import Answer, Deployment, Vendor, connected
from tests.support.racing import await_waiter, check_database, held_up, race

PASSWORD = "a long enough passphrase"
CHOSEN = "another long passphrase"


@pytest.fixture
def vendor(deployment: Deployment) -> Vendor:
    return deployment.vendor


class People:
    """An admin, who makes links, and who they are for."""

    def __init__(self, vendor: Vendor) -> None:
        self.vendor = vendor
        self.admin = vendor.colleague("admin")
        self.admin_id = self.me(self.admin)["id"]
        self.token = vendor.colleague("support")
        self.user = self.me(self.token)

    def me(self, token: str) -> dict[str, Any]:
        return self.vendor.call("GET", "/v1/users/me", token=token)

    def reset_link(self) -> str:
        path = f"/v1/users/{self.user['id']}/password-reset"
        return self.vendor.call("POST", path, token=self.admin, status=201)["token"]

    def invitation(self) -> dict[str, Any]:
        body = {"email": "new@example.com", "role": "support"}
        return self.vendor.call("POST", "/v1/users", body, token=self.admin, status=201)

    def use(self, link: str, *, kind: str = "reset-password", **request: Any) -> Answer:
        body = {"token": link, "password": CHOSEN}
        return self.vendor.deployment.call("POST", f"/v1/users/{kind}", body, **request)

    def events(self, **query: object) -> list[dict[str, Any]]:
        return self.vendor.call("GET", "/v1/audit-events", query=query)["items"]


@pytest.fixture
def people(vendor: Vendor) -> People:
    return People(vendor)


def promote(people: People) -> None:
    people.vendor.call("PATCH", f"/v1/users/{people.user['id']}", {"role": "owner"})


def promote_and_demote(people: People) -> None:
    promote(people)
    people.vendor.call("PATCH", f"/v1/users/{people.user['id']}", {"role": "support"})


def change_own_password(people: People) -> None:
    body = {"current_password": PASSWORD, "new_password": "yet another passphrase"}
    people.vendor.call("POST", "/v1/users/me/password", body, token=people.token, status=204)


def set_password(people: People) -> None:
    people.vendor.deployment.operator("set-password", email=people.user["email"])


def change_email(people: People) -> None:
    people.vendor.deployment.sql(
        "UPDATE permit.users SET email = 'moved@example.com' WHERE id = %s", people.user["id"]
    )


def deactivate_and_reactivate(people: People) -> None:
    for action in ("deactivate", "reactivate"):
        people.vendor.call("POST", f"/v1/users/{people.user['id']}/{action}")


def use_another(people: People) -> None:
    assert 204 == people.use(people.reset_link()).status


def deactivate_maker(people: People) -> None:
    people.vendor.call("POST", f"/v1/users/{people.admin_id}/deactivate")


def deactivate_and_reactivate_maker(people: People) -> None:
    deactivate_maker(people)
    people.vendor.call("POST", f"/v1/users/{people.admin_id}/reactivate")


def demote_maker(people: People) -> None:
    people.vendor.call("PATCH", f"/v1/users/{people.admin_id}", {"role": "support"})


def set_makers_password(people: People) -> None:
    email = people.me(people.admin)["email"]
    people.vendor.deployment.operator("set-password", email=email)


@pytest.mark.parametrize(
    "change",
    [
        promote,
        promote_and_demote,
        change_own_password,
        set_password,
        change_email,
        deactivate_and_reactivate,
        use_another,
        deactivate_maker,
        deactivate_and_reactivate_maker,
        demote_maker,
        set_makers_password,
    ],
)
def test_a_link_dies_with_its_reason(people: People, change: Callable[[People], None]) -> None:
    """With any change of the user's role, password, email or activity, and with its maker."""
    link = people.reset_link()

    change(people)
    used = people.use(link)

    assert (401, "invalid_link") == (used.status, used.body["code"])


@pytest.mark.parametrize("change", [deactivate_maker, demote_maker])
def test_an_invitation_dies_with_its_maker(
    people: People, change: Callable[[People], None]
) -> None:
    """Whoever is left invites again."""
    invited = people.invitation()

    change(people)
    used = people.use(invited["token"], kind="accept")
    again = people.vendor.call("POST", f"/v1/users/{invited['id']}/invitation", status=201)

    assert 401 == used.status
    assert 204 == people.use(again["token"], kind="accept").status


def test_an_invitation_dies_with_another_role(people: People) -> None:
    """An admin's link for a support does not make an owner."""
    invited = people.invitation()
    people.vendor.call("PATCH", f"/v1/users/{invited['id']}", {"role": "owner"})

    assert 401 == people.use(invited["token"], kind="accept").status


def test_what_is_no_change_of_an_account_leaves_a_link(people: People) -> None:
    """A name, a sign-in, a hash that is made anew, the maker's second factor."""
    link = people.reset_link()
    people.vendor.call("PATCH", "/v1/users/me", {"name": "Grace"}, token=people.token)
    people.vendor.log_in(people.user["email"], PASSWORD)
    path = "/v1/users/me/second-factor"
    secret = people.vendor.call("POST", path, token=people.admin)["secret"]
    body = {"code": code(secret)}
    people.vendor.call("POST", f"{path}/confirm", body, token=people.admin)

    assert 204 == people.use(link).status


def test_a_renewed_hash_leaves_links(deployment: Deployment, people: People) -> None:
    """An imported one at the first login: the user's, and the maker's."""
    imported = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    deployment.sql("UPDATE permit.users SET password_hash = %s", imported)
    link = people.reset_link()

    people.vendor.log_in(people.user["email"], PASSWORD)
    people.vendor.log_in(people.me(people.admin)["email"], PASSWORD)

    stored = "SELECT count(*) FROM permit.users WHERE password_hash LIKE '$argon2%'"
    assert [(2,)] == deployment.sql(stored)
    assert 204 == people.use(link).status


def test_redeeming_a_link_makes_its_place_known(deployment: Deployment, people: People) -> None:
    """Whoever has just set their password there is let in, however many guess elsewhere."""
    link = people.reset_link()
    path, body = "/v1/users/reset-password", {"token": link, "password": PASSWORD}
    assert 204 == deployment.call("POST", path, body, source_ip="192.0.2.1").status
    for n in range(40):
        guess = {"email": people.user["email"], "password": "wrong"}
        deployment.send("login", guess, source_ip=f"198.51.100.{n}")

    login = {"email": people.user["email"], "password": PASSWORD}
    elsewhere = deployment.send("login", login, source_ip="192.0.2.2")
    known = deployment.sql("SELECT count(*) FROM permit.login_places")
    here = deployment.send("login", login, source_ip="192.0.2.1")

    assert (429, 200) == (elsewhere.status, here.status)
    # By email and by id, as a login makes it known: which changes nothing here.
    assert known == deployment.sql("SELECT count(*) FROM permit.login_places")


def test_a_link_of_the_version_before_dies_with_its_api_key(
    deployment: Deployment, people: People
) -> None:
    """Which made links: it writes the row itself, and whose it is is noted all the same."""
    key, link = people.vendor.api_key("admin"), api_keys.generate_link_token()
    with connected(deployment, "permit_vendor") as connection:
        entered = connection.execute(
            "SELECT * FROM permit.enter_with_api_key(%s, '{}')", [api_keys.digest(key)]
        ).fetchone()
        assert entered is not None
        connection.execute(
            """
            INSERT INTO permit.user_links (token_hash, tenant_id, user_id, kind, expires_at)
            VALUES (%s, %s, %s, 'password_reset', now() + interval '1 day')
            """,
            [api_keys.digest(link), people.vendor.tenant_id, people.user["id"]],
        )

    [(maker,)] = deployment.sql("SELECT maker_id FROM permit.user_links")
    people.vendor.call("DELETE", f"/v1/api-keys/{maker}", status=204)

    assert entered[1] == maker
    assert 401 == people.use(link).status


@pytest.mark.parametrize("whose", ["themself", "an owner"])
def test_no_statement_makes_a_link_beyond_its_actor(
    deployment: Deployment, people: People, whose: str
) -> None:
    """Whatever a function's statement says: an admin's stays an admin's."""
    owner = people.vendor.call("GET", "/v1/users/me")["id"]
    target = people.admin_id if whose == "themself" else owner
    with connected(deployment, "permit_vendor") as connection:
        enter(connection, people.vendor.tenant_id, people.admin_id)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(
                """
                INSERT INTO permit.user_links (token_hash, tenant_id, user_id, kind, expires_at)
                VALUES (sha256('mine'), %s, %s, 'password_reset', now() + interval '1 day')
                """,
                [people.vendor.tenant_id, target],
            )


def enter(connection: psycopg.Connection[Any], tenant_id: str, user_id: str) -> None:
    [role] = connection.execute(
        """
        SELECT e.role
          FROM generate_series(1, 9) AS version,
               permit.enter_with_token(%s, %s, version, NULL, '{}') AS e
         WHERE e.role IS NOT NULL
        """,
        [tenant_id, user_id],
    ).fetchone() or [None]
    assert role is not None


def test_a_takeover_by_link_leaves_its_trace(people: People) -> None:
    """Who made it, who used it, each with an address: and it is never told as the victim's act."""
    path = f"/v1/users/{people.user['id']}/password-reset"
    link = people.vendor.call(
        "POST", path, token=people.admin, status=201, source_ip="198.51.100.1"
    )["token"]
    people.use(link, source_ip="198.51.100.2")

    [made] = people.events(action="users.reset-password")
    [used] = people.events(action="users.use-password-reset")
    assert ("user", people.admin_id, "198.51.100.1") == (
        made["actor"]["kind"],
        made["actor"]["id"],
        made["address"],
    )
    assert {"link": {}} == made["changes"]
    assert ("link", people.admin_id, "198.51.100.2") == (
        used["actor"]["kind"],
        used["actor"]["id"],
        used["address"],
    )
    assert {"password": {}} == used["changes"]
    assert {people.user["id"]} == {made["subject"]["id"], used["subject"]["id"]}
    mine = people.events(actor=people.admin_id)
    assert {"users.reset-password", "users.use-password-reset"} <= {e["action"] for e in mine}
    assert [] == people.events(actor=people.user["id"], action="users.use-password-reset")


def test_an_invitation_is_one_event_and_its_acceptance_another(people: People) -> None:
    """With the maker; and another link for it is one more."""
    invited = people.invitation()
    again = people.vendor.call("POST", f"/v1/users/{invited['id']}/invitation", status=201)
    people.use(again["token"], kind="accept")

    told = people.events(subject=invited["id"])
    owner = people.vendor.call("GET", "/v1/users/me")["id"]
    assert [
        ("users.accept", "link", owner),
        ("users.invite", "user", owner),
        ("users.invite", "user", people.admin_id),
    ] == [(e["action"], e["actor"]["kind"], e["actor"]["id"]) for e in told]
    assert [{"password": {}}, {"link": {}}] == [e["changes"] for e in told[:2]]
    assert {"email", "role"} == set(told[2]["changes"])


def test_a_link_serves_one_of_many_at_once(deployment: Deployment, people: People) -> None:
    """Eight at the same moment: one sets the password."""
    link = api_keys.digest(people.reset_link())

    outcomes = race(
        deployment,
        [
            lambda d, n=n: users.redeem_link(
                d,
                link,
                "password_reset",
                password_hash=f"hash {n}",
                name=None,
                places=[],
                request={},
            )
            for n in range(8)
        ],
        function="team",
    )

    assert ["None", *["invalid"] * 7] == sorted(map(str, outcomes))


def test_a_change_that_races_a_link_wins(deployment: Deployment, people: People) -> None:
    """The promotion was there first: whoever waits for it finds the link dead."""
    link = api_keys.digest(people.reset_link())

    def redeem(_: Database) -> str | None:
        with check_database(deployment, "team") as database:
            return users.redeem_link(
                database,
                link,
                "password_reset",
                password_hash="h",
                name=None,
                places=[],
                request={},
            )

    promotion = "UPDATE permit.users SET role = 'owner' WHERE id = %s"
    with held_up(deployment, promotion, people.user["id"], run=redeem) as waiting:
        pass

    assert "invalid" == waiting.result()


def test_a_deactivation_that_races_its_link_wins(deployment: Deployment, people: People) -> None:
    """A maker who is being deactivated leaves no link behind that a reactivation would revive."""
    with connected(deployment, "permit_vendor") as making, ThreadPoolExecutor(1) as pool:
        enter(making, people.vendor.tenant_id, people.admin_id)
        making.execute(
            """
            INSERT INTO permit.user_links (token_hash, tenant_id, user_id, kind, expires_at)
            VALUES (sha256('late'), %s, %s, 'password_reset', now() + interval '1 day')
            """,
            [people.vendor.tenant_id, people.user["id"]],
        )
        deactivated = pool.submit(deactivate_maker, people)
        await_waiter(deployment, making, deactivated)
        making.commit()
        deactivated.result()

    assert [] == deployment.sql("SELECT FROM permit.user_links")


def test_links_that_were_there_before_go_on(deployment: Deployment, people: People) -> None:
    """They have no maker noted, and die with their user's changes alone."""
    first, second = people.reset_link(), people.reset_link()
    deployment.sql(
        "UPDATE permit.user_links SET maker_kind = NULL, maker_id = NULL, maker_standing = NULL"
    )
    deployment.pass_time(timedelta(hours=1))

    assert 204 == people.use(first).status
    assert 401 == people.use(second).status
    [event] = people.events(action="users.use-password-reset")
    assert {"kind": "link", "id": None, "name": None} == event["actor"]
