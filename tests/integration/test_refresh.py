"""POST /v1/login/refresh and /logout: rotation, what a replay costs, and how a session ends."""

import base64
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from permit.db import Database
from permit.people import sign_in
from permit.people.refusals import InvalidRefreshToken
from permit.people.sign_in import Asked
from permit.settings import LoginSettings
from tests.support.deployment import Answer, Deployment

EMAIL = "owner@example.com"
PASSWORD = "correct horse battery staple"
SECOND = timedelta(seconds=1)
ASKED = Asked(address="203.0.113.7", request_id="none", issuer="https://permit.example")


@pytest.fixture
def token(deployment: Deployment) -> str:
    """A refresh token, as a login gives it."""
    deployment.operator("rotate-token-key")
    deployment.operator("create-tenant", name="Example", email=EMAIL, password=PASSWORD)
    return log_in(deployment)


def log_in(deployment: Deployment) -> str:
    answer = deployment.send("login", {"email": EMAIL, "password": PASSWORD})
    assert 200 == answer.status, answer.text
    return answer.body["refresh_token"]


def send(deployment: Deployment, token: str) -> Answer:
    return deployment.send("login_refresh", {"refresh_token": token})


def renew(deployment: Deployment, token: str) -> str:
    answer = send(deployment, token)
    assert 200 == answer.status, answer.text
    return answer.body["refresh_token"]


def is_good(deployment: Deployment, token: str) -> bool:
    return send(deployment, token).status == 200


def log_out(deployment: Deployment, token: str) -> Answer:
    return deployment.send("login_logout", {"refresh_token": token})


def test_a_refresh_gives_what_a_login_gives(deployment: Deployment, token: str) -> None:
    """New tokens of the same shape, of which the refresh token is another."""
    answer = send(deployment, token)

    assert 200 == answer.status
    assert {"access_token", "token_type", "expires_in", "refresh_token"} == set(answer.body)
    assert token != answer.body["refresh_token"]
    assert "no-store" == answer.headers["cache-control"]


def test_tokens_follow_one_another(deployment: Deployment, token: str) -> None:
    """A session is renewed for as long as each token is used once."""
    for _ in range(5):
        deployment.pass_time(timedelta(days=10))
        token = renew(deployment, token)

    assert is_good(deployment, token)


def test_only_digests_are_stored(deployment: Deployment, token: str) -> None:
    """Whoever reads the database cannot renew a session by it."""
    successor = renew(deployment, token)

    rows = deployment.sql("SELECT t::text FROM permit.refresh_tokens AS t")

    assert 2 == len(rows)
    assert not any(secret in str(rows) for secret in (token, successor, token[10:]))


def test_a_lost_answer_gets_a_second_chance(deployment: Deployment, token: str) -> None:
    """A token that was replaced 30 seconds ago, its successor unused, gets a sibling."""
    lost = renew(deployment, token)
    deployment.pass_time(29 * SECOND)
    second = renew(deployment, token)

    assert lost != second
    assert is_good(deployment, second)


def test_two_branches_do_not_live_on(deployment: Deployment, token: str) -> None:
    """Where both siblings are used, two clients have the token: RFC 9700, section 4.14."""
    first, second = renew(deployment, token), renew(deployment, token)
    successor = renew(deployment, first)

    sibling = send(deployment, second)

    assert (401, "invalid_refresh_token") == (sibling.status, sibling.body["code"])
    assert not is_good(deployment, successor)


def test_a_late_replay_ends_the_session(deployment: Deployment, token: str) -> None:
    """A token that comes again after 30 seconds was stolen by or from whoever sends it."""
    successor = renew(deployment, token)
    deployment.pass_time(31 * SECOND)

    replayed = send(deployment, token)

    assert (401, "invalid_refresh_token") == (replayed.status, replayed.body["code"])
    assert not is_good(deployment, successor)


def test_a_replay_of_what_has_moved_on_ends_the_session(deployment: Deployment, token: str) -> None:
    """Once the successor was used the token has no second life, however soon it comes."""
    successor = renew(deployment, token)
    grandchild = renew(deployment, successor)

    replayed = send(deployment, token)

    assert 401 == replayed.status
    assert not is_good(deployment, grandchild)


def test_a_sibling_that_was_used_counts_too(deployment: Deployment, token: str) -> None:
    """The second of two successors being used closes the first's grace as well."""
    first, second = renew(deployment, token), renew(deployment, token)
    renew(deployment, second)

    replayed = send(deployment, token)

    assert 401 == replayed.status
    assert not is_good(deployment, first)


def test_a_replay_ends_one_session_only(deployment: Deployment, token: str) -> None:
    """The same person's other sessions go on."""
    other = log_in(deployment)
    renew(deployment, token)
    deployment.pass_time(31 * SECOND)

    send(deployment, token)

    assert is_good(deployment, other)


def test_a_session_ends_ninety_days_after_its_login(deployment: Deployment, token: str) -> None:
    """Renewing it does not prolong it."""
    for _ in range(3):
        deployment.pass_time(timedelta(days=29, hours=23))
        token = renew(deployment, token)
    deployment.pass_time(timedelta(hours=2))
    almost = renew(deployment, token)

    deployment.pass_time(timedelta(hours=1, seconds=1))

    assert not is_good(deployment, almost)


def test_a_logout_ends_the_session(deployment: Deployment, token: str) -> None:
    """204 and no body; none of the session's tokens works afterwards, another session's does."""
    other, successor = log_in(deployment), renew(deployment, token)

    answer = log_out(deployment, successor)

    assert (204, "") == (answer.status, answer.text)
    assert not is_good(deployment, token)
    assert not is_good(deployment, successor)
    assert is_good(deployment, other)


def test_a_logout_tells_nothing(deployment: Deployment, token: str) -> None:
    """204 for an unknown token and for one that has been logged out already."""
    log_out(deployment, token)

    answers = [log_out(deployment, token), log_out(deployment, "permit_rt_unknown")]

    assert [204, 204] == [answer.status for answer in answers]


def test_refusals_are_alike(deployment: Deployment, token: str) -> None:
    """Unknown, replayed, logged out, expired: one answer, which says nothing of the reason."""
    logged_out, replayed, expired = log_in(deployment), log_in(deployment), log_in(deployment)
    log_out(deployment, logged_out)
    renew(deployment, renew(deployment, replayed))

    answers = [send(deployment, each) for each in ("permit_rt_unknown", logged_out, replayed)]
    deployment.pass_time(timedelta(days=91))
    answers.append(send(deployment, expired))

    assert [401] * 4 == [answer.status for answer in answers]
    assert 1 == len({answer.text for answer in answers})


def test_a_deactivated_user_renews_nothing(deployment: Deployment, token: str) -> None:
    """Deactivation takes hold at the next renewal, 15 minutes at the latest."""
    deployment.sql("UPDATE permit.users SET deactivated_at = now()")

    assert not is_good(deployment, token)


def test_a_new_password_ends_every_session(deployment: Deployment, token: str) -> None:
    """Whoever had the old password is out, and a login with the new one works."""
    other = log_in(deployment)

    deployment.operator("set-password", email=EMAIL, password="another horse, another staple")

    assert not is_good(deployment, token)
    assert not is_good(deployment, other)
    old = deployment.send("login", {"email": EMAIL, "password": PASSWORD})
    new = deployment.send("login", {"email": EMAIL, "password": "another horse, another staple"})
    assert (401, 200) == (old.status, new.status)


def test_a_changed_role_shows_in_the_next_token(deployment: Deployment, token: str) -> None:
    """Tokens are made from the user's row as it is now."""
    deployment.sql("UPDATE permit.users SET role = 'support'")

    answer = send(deployment, token)

    assert 200 == answer.status
    assert "support" == claims(answer.body["access_token"])["role"]


def claims(access_token: str) -> dict[str, Any]:
    payload = access_token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))


def race(deployment: Deployment, tokens: list[str]) -> list[str | None]:
    """Renews each at once on a connection of its own: the successors, None where refused."""

    def work(token: str) -> str | None:
        settings = LoginSettings.from_environment(deployment.environ("login"))
        database = Database(settings)
        try:
            return sign_in.renew(
                database, settings.token_keys, ASKED, refresh_token=token
            ).refresh_token
        except InvalidRefreshToken:
            return None
        finally:
            database.close()

    with ThreadPoolExecutor(len(tokens)) as threads:
        return list(threads.map(work, tokens))


def test_raced_refreshes_are_siblings(deployment: Deployment, token: str) -> None:
    """Eight tabs that wake at once each get a token: the one that they keep goes on."""
    successors = race(deployment, [token] * 8)

    assert 8 == len({successor for successor in successors if successor is not None})
    kept = renew(deployment, successors[7] or "")
    assert is_good(deployment, kept)


def test_of_raced_siblings_one_is_used(deployment: Deployment, token: str) -> None:
    """Eight at once: however they come, the second is told from the first, and the session ends."""
    siblings = [renew(deployment, token) for _ in range(8)]

    results = race(deployment, siblings)

    assert 1 == sum(result is not None for result in results)
    assert not any(is_good(deployment, each) for each in results if each is not None)


def test_a_replay_that_races_its_successor_ends_the_session(
    deployment: Deployment, token: str
) -> None:
    """Whichever of thief and owner comes first, afterwards neither has a working token."""
    successor = renew(deployment, token)
    deployment.pass_time(31 * SECOND)

    results = race(deployment, [token, successor] * 4)

    assert {None} == set(results[::2])
    assert not any(is_good(deployment, each) for each in results if each is not None)
    assert not is_good(deployment, successor)
