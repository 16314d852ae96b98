"""The throttle of the sign-in: what guessing costs, and that it locks nobody out for long."""

import random
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from argon2 import PasswordHasher

from permit.db import Database
from permit.people import sign_in
from permit.people.refusals import InvalidCredentials, TooManyAttempts
from permit.people.sign_in import Asked, LoginSecrets, Tokens
from permit.security import passwords
from permit.settings import LoginSettings
from tests.support.deployment import Answer, Deployment
from tests.support.racing import check_database, held_up, race
from tests.support.sent_statements import sent_statements

EMAIL = "owner@example.com"
PASSWORD = "correct horse battery staple"
ORIGIN_SECRET = "cloudfront-proves-itself-with-this"
MINUTE = timedelta(minutes=1)
ASKED = Asked(address="203.0.113.7", request_id="none", issuer="https://permit.example")


@pytest.fixture(autouse=True)
def _cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    # Hundreds of attempts are made here, and their cost is not what is tested.
    cheap = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(passwords, "_hasher", cheap)


@pytest.fixture(autouse=True)
def _user(deployment: Deployment) -> None:
    deployment.operator("rotate-token-key")
    deployment.operator("create-tenant", name="Example", email=EMAIL, password=PASSWORD)


@pytest.fixture(autouse=True)
def _standing_clock(deployment: Deployment, _user: None) -> None:
    """Time passes only where a test says so: delays are exact, however slow the machine."""
    deployment.sql(
        """
        CREATE TABLE public.standing_clock AS SELECT clock_timestamp() AS since;
        CREATE OR REPLACE FUNCTION permit.clock() RETURNS timestamptz
        LANGUAGE sql VOLATILE SECURITY DEFINER
        RETURN (SELECT since FROM public.standing_clock)
               + (SELECT shift FROM public.test_clock)
        """
    )


def attempt(
    deployment: Deployment,
    email: str = EMAIL,
    password: str = "wrong",
    address: str = "203.0.113.7",
    headers: dict[str, str | None] | None = None,
) -> Answer:
    body = {"email": email, "password": password}
    return deployment.send("login", body, source_ip=address, headers=headers)


def delays(deployment: Deployment, attempts: Iterable[tuple[str, str]]) -> list[int]:
    """The seconds that each (email, address) had to wait before it was let in."""
    waited = []
    for email, address in attempts:
        answer, seconds = attempt(deployment, email, address=address), 0
        if answer.status == 429:
            seconds = int(answer.headers["retry-after"])
            deployment.pass_time(timedelta(seconds=seconds))
            answer = attempt(deployment, email, address=address)
        assert 401 == answer.status
        waited.append(seconds)
    return waited


def addresses(count: int) -> list[str]:
    return [f"198.51.{n // 250}.{n % 250 + 1}" for n in range(count)]


DOUBLING = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512]


@pytest.mark.parametrize("email", [EMAIL, "nobody@example.com"], ids=["known", "unknown"])
def test_guesses_from_one_place_wait_ever_longer(deployment: Deployment, email: str) -> None:
    """Five attempts are free, then the delay doubles up to 15 minutes, known email or not.

    One is forgotten every 15 minutes: there the delay stays, and an attacker with it.
    """
    waited = delays(deployment, [(email, "203.0.113.7")] * 20)

    assert [*[0] * 6, *DOUBLING, 512, 900, 900, 900] == waited


@pytest.mark.parametrize("email", [EMAIL, "nobody@example.com"], ids=["known", "unknown"])
def test_guesses_from_everywhere_make_an_account_wait_briefly(
    deployment: Deployment, email: str
) -> None:
    """From ever new addresses ten are free, and the account never waits more than 30 seconds."""
    waited = delays(deployment, [(email, address) for address in addresses(20)])

    assert [*[0] * 11, 1, 2, 4, 8, 16, 16, 30, 30, 30] == waited


def test_one_address_cannot_try_every_account(deployment: Deployment) -> None:
    """Fifty attempts are free to an address, an office too; then it waits up to a minute."""
    waited = delays(deployment, [(f"user-{n}@example.com", "203.0.113.7") for n in range(61)])

    assert [*[0] * 51, 1, 2, 4, 8, 16, 32, 32, 60, 60, 60] == waited


def test_a_throttled_login_is_refused_as_a_problem(deployment: Deployment) -> None:
    """429 with Retry-After, the same for a right password and for an email that nobody has."""
    for email in (EMAIL, "nobody@example.com"):
        for _ in range(6):
            attempt(deployment, email)

    wrong = attempt(deployment)
    right = attempt(deployment, password=PASSWORD)
    unknown = attempt(deployment, "nobody@example.com")

    assert (429, "too_many_attempts") == (wrong.status, wrong.body["code"])
    assert "1" == wrong.headers["retry-after"]
    assert (wrong.status, wrong.text, wrong.headers) == (right.status, right.text, right.headers)
    assert (wrong.status, wrong.text, wrong.headers) == (
        unknown.status,
        unknown.text,
        unknown.headers,
    )


def test_what_is_refused_is_not_counted(deployment: Deployment) -> None:
    """An impatient client does not lengthen its own wait."""
    for _ in range(6):
        attempt(deployment)

    refused = [attempt(deployment) for _ in range(20)]

    assert {(429, "1")} == {(answer.status, answer.headers["retry-after"]) for answer in refused}
    assert [1] == delays(deployment, [(EMAIL, "203.0.113.7")])


def test_parallel_guesses_count_each(deployment: Deployment) -> None:
    """Twenty guesses at once, each on a connection of its own: six are let in, as one by one."""
    secrets = login_secrets(deployment)
    everyone = Barrier(20)

    def guess(number: int) -> str:
        database = Database(LoginSettings.from_environment(deployment.environ("login")))
        try:
            database.fetch_value("SELECT 1", {})  # connected, so that all guess at once
            everyone.wait(30)
            sign_in.log_in(database, secrets, ASKED, email=EMAIL, password=f"guess {number}")
        except (InvalidCredentials, TooManyAttempts) as refusal:
            return refusal.code
        finally:
            database.close()
        return "let in"

    with ThreadPoolExecutor(20) as threads:
        codes = sorted(threads.map(guess, range(20)))

    assert ["invalid_credentials"] * 6 + ["too_many_attempts"] * 14 == codes


def test_attempts_of_one_moment_do_not_block_each_other(deployment: Deployment) -> None:
    """What was counted while an attempt waited for its turn is over when the turn comes."""
    attempt(deployment)
    others = "UPDATE permit.login_throttle SET blocked_until = permit.clock() + interval '1 second'"

    def log_in(_: Database) -> Tokens:
        with check_database(deployment, "login") as database:
            return sign_in.log_in(
                database, login_secrets(deployment), ASKED, email=EMAIL, password=PASSWORD
            )

    with held_up(deployment, others, run=log_in) as waiting:
        deployment.pass_time(timedelta(seconds=2))

    assert waiting.result().access_token


def login_secrets(deployment: Deployment) -> LoginSecrets:
    settings = LoginSettings.from_environment(deployment.environ("login"))
    return LoginSecrets(
        token_keys=settings.token_keys,
        throttle_key=settings.throttle_key,
        master_keys=settings.master_keys,
    )


def test_a_complete_login_resets_the_account(deployment: Deployment) -> None:
    """Five wrong, one right, and there are five free attempts again."""
    for _ in range(5):
        attempt(deployment)

    right = attempt(deployment, password=PASSWORD)

    assert 200 == right.status
    assert [*[0] * 6, 1] == delays(deployment, [(EMAIL, "203.0.113.7")] * 7)


def test_an_own_account_does_not_reset_the_address(deployment: Deployment) -> None:
    """Whoever has an account cannot buy new guesses at others by signing in to it."""
    statuses = []
    for n in range(60):
        statuses.append(attempt(deployment, f"user-{n}@example.com").status)
        attempt(deployment, password=PASSWORD)

    assert [*[401] * 51, *[429] * 9] == statuses


def attack(deployment: Deployment, guesses: int, email: str = EMAIL) -> list[int]:
    """One from another address each, as fast as they come: their statuses."""
    return [attempt(deployment, email, address=each).status for each in addresses(guesses)]


def test_nobody_is_locked_out_where_they_sign_in(deployment: Deployment) -> None:
    """Two guesses a second from ever new addresses, for ten minutes: the owner never notices."""
    assert 200 == attempt(deployment, password=PASSWORD).status
    attackers = iter(addresses(1200))
    refused, owner = 0, []
    for second in range(600):
        for _ in range(2):
            refused += attempt(deployment, address=next(attackers)).status == 429
        if second % 30 == 0:
            owner.append(attempt(deployment, password=PASSWORD).status)
        deployment.pass_time(timedelta(seconds=1))

    assert [200] * 20 == owner
    assert refused > 1100


def test_a_place_is_known_for_a_month(deployment: Deployment) -> None:
    """From its last sign-in; the sweep clears what is longer ago, and a new place waits briefly."""
    attempt(deployment, password=PASSWORD)
    deployment.pass_time(timedelta(days=29))
    attack(deployment, 20)
    known = attempt(deployment, password=PASSWORD)
    elsewhere = attempt(deployment, password=PASSWORD, address="198.51.200.1")
    deployment.pass_time(timedelta(days=31))
    attack(deployment, 20)
    forgotten = attempt(deployment, password=PASSWORD)
    deployment.invoke("sweep", {})

    assert [200, 429, 429] == [a.status for a in (known, elsewhere, forgotten)]
    assert [] == deployment.sql("SELECT * FROM permit.login_places")


def test_a_known_place_is_judged_by_itself(deployment: Deployment) -> None:
    """Wrong passwords from there make it wait, and use up nobody else's attempts."""
    attempt(deployment, password=PASSWORD)

    own = [attempt(deployment).status for _ in range(8)]
    colleague = attempt(deployment, "colleague@example.com")
    elsewhere = attempt(deployment, password=PASSWORD, address="198.51.100.9")

    assert [*[401] * 6, 429, 429] == own
    assert (401, 200) == (colleague.status, elsewhere.status)


def test_another_account_at_the_same_address_is_another_place(deployment: Deployment) -> None:
    """An attacker who shares the address and has an account guesses at others' no faster."""
    attempt(deployment, password=PASSWORD)
    victim = "victim@example.com"

    waited = delays(deployment, [(victim, "203.0.113.7")] * 8)

    assert [*[0] * 6, 1, 2] == waited


def test_an_office_signs_in_behind_one_address(deployment: Deployment) -> None:
    """Sixty people within a minute, none known before, twice: a success is no guess."""
    [(tenant,)] = deployment.sql("SELECT id::text FROM permit.tenants")
    people = [f"person-{n}@example.com" for n in range(60)]
    for email in people:
        deployment.operator("create-user", tenant_id=tenant, email=email, password=PASSWORD)

    statuses = [attempt(deployment, email, PASSWORD).status for email in people * 2]

    assert [200] * 120 == statuses
    assert [(0,)] == deployment.sql("SELECT coalesce(max(attempts), 0) FROM permit.login_throttle")


def test_an_office_with_second_factors_does_too(deployment: Deployment) -> None:
    """The first step is taken back when the password was right, the second when the code was."""
    [(tenant,)] = deployment.sql("SELECT id::text FROM permit.tenants")
    people = [f"person-{n}@example.com" for n in range(55)]
    for email in people:
        deployment.operator("create-user", tenant_id=tenant, email=email, password=PASSWORD)
    deployment.sql(
        """
        UPDATE permit.users
           SET totp_sealed = '', totp_master_version = '1', totp_confirmed_at = now()
        """
    )

    statuses = [attempt(deployment, email, PASSWORD).body["code"] for email in people]

    assert ["mfa_required"] * 55 == statuses


def test_a_first_step_is_no_guess_at_a_known_place(deployment: Deployment) -> None:
    """A right password is taken back there too, and so is a proof of self that lacks its code."""
    token = attempt(deployment, EMAIL, PASSWORD).body["access_token"]
    deployment.sql(
        """
        UPDATE permit.users
           SET totp_sealed = '', totp_master_version = '1', totp_confirmed_at = now()
        """
    )

    logins = [attempt(deployment, EMAIL, PASSWORD) for _ in range(12)]
    proofs = [
        deployment.call("POST", "/v1/login/elevate", {"password": PASSWORD}, token=token)
        for _ in range(12)
    ]

    assert {"mfa_required"} == {answer.body["code"] for answer in logins}
    assert {(422, "code")} == {(a.status, a.body["errors"][0]["field"]) for a in proofs}
    assert [] == deployment.sql("SELECT * FROM permit.login_throttle WHERE attempts > 0")


def test_successes_at_one_moment_are_no_guesses(deployment: Deployment) -> None:
    """Forty people behind one address at once: all are let in, and nothing stays counted."""
    secrets = login_secrets(deployment)
    [(tenant,)] = deployment.sql("SELECT id::text FROM permit.tenants")
    people = [f"person-{n}@example.com" for n in range(40)]
    for email in people:
        deployment.operator("create-user", tenant_id=tenant, email=email, password=PASSWORD)

    def logging_in(email: str) -> Callable[[Database], Tokens]:
        return lambda d: sign_in.log_in(d, secrets, ASKED, email=email, password=PASSWORD)

    tokens = race(deployment, [logging_in(email) for email in people], function="login")

    assert 40 == len({each.access_token for each in tokens})
    assert [] == deployment.sql("SELECT * FROM permit.login_throttle WHERE attempts > 0")


def test_junk_costs_nobody_anything(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A body that is no login runs no hash, counts against nobody, and asks no database."""
    hashed: list[str] = []
    monkeypatch.setattr(passwords, "hash", hashed.append)
    monkeypatch.setattr(passwords, "verify", lambda *_: hashed.append("verified"))
    junk = [
        "",
        "{",
        "[]",
        '{"email": "a@b.de"}',
        '{"email": 1, "password": []}',
        "\x00",
        "{}" * 999,
    ]

    with sent_statements(deployment, "login") as sent:
        statuses = {deployment.send("login", raw_body=body).status for body in junk * 10}

    assert {422} == statuses
    assert ([], []) == (hashed, sent)
    assert [] == deployment.sql("SELECT * FROM permit.login_throttle")


def test_without_its_counters_nothing_is_hashed(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the throttle says is not known: the attempt is not made, and waits for the database."""
    hashed: list[str] = []
    monkeypatch.setattr(passwords, "hash", hashed.append)
    monkeypatch.setattr(passwords, "verify", lambda *_: hashed.append("verified"))
    deployment.environments["login"] = deployment.start("login", PERMIT_DATABASE_PORT="9")

    answer = attempt(deployment, password=PASSWORD)

    assert (503, "service_unavailable") == (answer.status, answer.body["code"])
    assert [] == hashed


def test_counters_decay(deployment: Deployment) -> None:
    """Under an attack that never stops a little less waits, and where one stops, ten minutes later
    nobody does."""
    attack(deployment, 20)
    during = attempt(deployment, password=PASSWORD, address="198.51.200.1")
    deployment.pass_time(5 * MINUTE)
    waited = delays(deployment, [(EMAIL, f"198.51.200.{n}") for n in range(1, 13)])

    assert 429 == during.status
    assert [*[0] * 10, 1, 2] == waited


def test_an_attacker_elsewhere_makes_a_new_place_wait_briefly(deployment: Deployment) -> None:
    """However often others have guessed, a place that has never signed in waits 30 seconds."""
    delays(deployment, [(EMAIL, address) for address in addresses(16)])

    refused = attempt(deployment, password=PASSWORD)
    deployment.pass_time(timedelta(seconds=int(refused.headers["retry-after"])))
    right = attempt(deployment, password=PASSWORD)

    assert 429 == refused.status
    assert int(refused.headers["retry-after"]) <= 30
    assert 200 == right.status


@pytest.mark.parametrize("patience", ["obedient", "every second"])
def test_whoever_waits_is_let_in_at_a_new_place(deployment: Deployment, patience: str) -> None:
    """While others guess twice a second from ever new addresses: within a minute, every time."""
    guesses, waited, refused = iter(addresses(2000)), list[int](), 0
    attack(deployment, 20)
    for place in range(5):
        seconds = wait = 0
        while True:
            for _ in range(2):
                refused += attempt(deployment, address=next(guesses)).status == 429
            if wait == 0:
                answer = attempt(deployment, password=PASSWORD, address=f"192.0.2.{place + 1}")
                if answer.status == 200:
                    break
                wait = int(answer.headers["retry-after"]) if patience == "obedient" else 1
            deployment.pass_time(timedelta(seconds=1))
            seconds, wait = seconds + 1, wait - 1
            assert seconds < 300
        waited.append(seconds)
        attack(deployment, 20)

    assert max(waited) <= 60
    assert max(waited) > 0
    assert refused > 20


def test_many_who_wait_guess_no_faster(deployment: Deployment) -> None:
    """Forty addresses that each wait as told: together one guess in ten seconds, and the ordinary
    one in thirty; and no one of them takes most."""
    waits = dict.fromkeys(addresses(40), 0)
    admitted, chance = dict.fromkeys(waits, 0), random.Random(1)  # noqa: S311 (an order, no secret)
    for _ in range(300):
        for address in chance.sample([*waits], len(waits)):
            if waits[address] == 0:
                answer = attempt(deployment, address=address)
                admitted[address] += answer.status == 401
                waits[address] = int(answer.headers.get("retry-after", 1))
            waits[address] -= 1
        deployment.pass_time(timedelta(seconds=1))

    free = 10 + 10 + 5 + 5  # and those at the shorter delays before the longest
    assert 300 / 10 <= sum(admitted.values()) <= 300 / 10 + 300 / 30 + free
    assert max(admitted.values()) <= 10


def test_a_turn_is_taken_once(deployment: Deployment) -> None:
    """Who was let try by a turn, and was wrong, waits for another one."""
    attack(deployment, 20)
    first = attempt(deployment, address="192.0.2.1")
    deployment.pass_time(timedelta(seconds=int(first.headers["retry-after"])))
    attack(deployment, 1)
    second, third = (attempt(deployment, address="192.0.2.1") for _ in range(2))

    assert [429, 401, 429] == [answer.status for answer in (first, second, third)]


def test_turns_are_not_for_an_address_that_guesses_at_all(deployment: Deployment) -> None:
    """Whoever tries every account from one address waits for that, turn or not."""
    attack(deployment, 20)
    refused = attempt(deployment, address="192.0.2.1")
    deployment.pass_time(timedelta(seconds=int(refused.headers["retry-after"])))
    for n in range(60):
        attempt(deployment, f"user-{n}@example.com", address="192.0.2.1")
    attack(deployment, 1)

    assert 429 == attempt(deployment, address="192.0.2.1").status


def test_an_hour_without_attempts_forgets(deployment: Deployment) -> None:
    """Counters expire an hour after the last attempt, and sweep clears them."""
    delays(deployment, [(EMAIL, "203.0.113.7")] * 12)

    deployment.pass_time(60 * MINUTE)

    assert [*[0] * 6, 1] == delays(deployment, [(EMAIL, "203.0.113.7")] * 7)


def test_one_ipv6_network_is_one_address(deployment: Deployment) -> None:
    """A customer's /64 gives no new address at every guess; the next /64 is another customer."""
    for n in range(6):
        attempt(deployment, address=f"2001:db8:1:1::{n + 1:x}")

    same = attempt(deployment, address="2001:db8:1:1:ffff:ffff:ffff:ffff")
    other = attempt(deployment, address="2001:db8:1:2::1")

    assert (429, 401) == (same.status, other.status)


def test_cloudfronts_address_counts_where_the_origin_is_locked(deployment: Deployment) -> None:
    """Each viewer has attempts of its own, though all of them come from CloudFront's addresses."""
    deployment.environments["login"] = deployment.start("login", PERMIT_ORIGIN_SECRET=ORIGIN_SECRET)

    statuses = [
        attempt(
            deployment,
            headers={
                "cloudfront-viewer-address": f"198.51.100.{n}:4711",
                "x-origin-secret": ORIGIN_SECRET,
            },
        ).status
        for n in range(1, 8)
    ]

    assert [401] * 7 == statuses


def test_a_viewers_address_without_a_lock_is_not_believed(deployment: Deployment) -> None:
    """A forged header does not get its sender round the throttle."""
    statuses = [
        attempt(deployment, headers={"cloudfront-viewer-address": f"198.51.100.{n}:4711"}).status
        for n in range(1, 8)
    ]

    assert [*[401] * 6, 429] == statuses


def test_neither_address_nor_email_rests_in_the_database(deployment: Deployment) -> None:
    """Rows are keyed by HMACs: 32 bytes, which change with the throttle key."""
    attempt(deployment)
    [(first,)] = deployment.sql("SELECT array_agg(key) FROM permit.login_throttle")

    (deployment.folder / "throttle-key").write_text("ab" * 32)
    deployment.environments["login"] = deployment.start("login")
    attempt(deployment)

    [(both,)] = deployment.sql("SELECT array_agg(key) FROM permit.login_throttle")
    assert (3, 6) == (len(first), len(both))
    assert {32} == {len(key) for key in both}


def test_sessions_and_resets_leave_no_row_behind(deployment: Deployment) -> None:
    """Expired counters are the sweep's to clear, and only those."""
    attempt(deployment, "old@example.com")
    deployment.pass_time(59 * MINUTE)
    attempt(deployment, "new@example.com")
    deployment.pass_time(2 * MINUTE)

    counts = deployment.invoke("sweep", {})

    # The address was charged again by the second attempt.
    assert 2 == counts["throttles_ended"]
    assert [(3,)] == deployment.sql("SELECT count(*) FROM permit.login_throttle")
