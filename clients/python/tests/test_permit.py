"""`Permit` as a program uses it, against the fake server, whose answers are really signed."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

import permit_client
from permit_client import AsyncPermit, Licence, Permit
from permit_client.circuit import wait_after
from permit_client.messages import names, sentence
from permit_client.testing import FakePermit


@pytest.fixture
def licences() -> FakePermit:
    return FakePermit(product="editor")


def told(licence: Licence) -> tuple[str, str]:
    return licence.answer, licence.why


def asked(licences: FakePermit) -> int:
    return len([path for path, _ in licences.requests if path == "/v1/licences/check"])


def test_the_first_check_is_a_fresh_verdict(licences: FakePermit) -> None:
    permit = licences.permit(build_date="2026-11-22", version="4.2.1", device_name="My laptop")
    licence = permit.check(licences.issue(entitlements=("export",)))

    assert ("allowed", "verdict") == told(licence)
    assert licence
    assert licence.allowed
    assert "VALID" == licence.code
    assert frozenset({"export"}) == licence.entitlements
    assert licence.grants("export")
    assert not licence.grants("import")
    assert licence.good_until == datetime.fromtimestamp(licences.now + 7 * 86_400, timezone.utc)
    [(path, request)] = licences.requests
    assert "/v1/licences/check" == path
    assert ("editor", "2026-11-22", "4.2.1", "My laptop") == (
        request["product"],
        request["version_date"],
        request["version"],
        request["device"]["name"],
    )


def test_what_is_not_given_is_not_sent(licences: FakePermit) -> None:
    """An older server refuses members that it does not know."""
    licences.permit().check(licences.issue())

    [(_, request)] = licences.requests
    assert {"key", "product", "device", "nonce"} == {*request}
    assert {"fingerprint", "platform"} == {*request["device"]}


def test_nothing_is_asked_before_it_is_due(licences: FakePermit) -> None:
    permit, key = licences.permit(), licences.issue()
    permit.check(key)
    licences.move_clock(days=4)
    assert ("allowed", "lease") == told(permit.check(key))
    assert 1 == asked(licences)

    licences.move_clock(days=1)
    assert ("allowed", "verdict") == told(permit.check(key))
    assert 2 == asked(licences)


def test_a_node_locked_device_asks_at_most_ten_times_a_month(licences: FakePermit) -> None:
    """It is started every hour of 30 days, at the default lease."""
    key = licences.issue()
    for _ in range(30 * 24):
        assert licences.permit().check(key).allowed
        licences.move_clock(hours=1)

    assert asked(licences) <= 10


def test_a_restart_without_a_network_goes_on(licences: FakePermit) -> None:
    key = licences.issue(entitlements=("export",))
    licences.permit().check(key)
    licences.offline()
    licences.move_clock(days=6)

    again = licences.permit()
    assert ("allowed", "lease") == told(again.state())
    licence = again.check(key)
    assert ("allowed", "lease") == told(licence)
    assert licence.trouble is not None
    assert "offline" == licence.trouble.why
    assert licence.grants("export")

    licences.move_clock(days=2)
    assert ("could_not_check", "lease_ended") == told(again.state())
    licence = again.check(key, fresh=True)
    assert ("could_not_check", "offline") == told(licence)
    assert not licence
    assert frozenset() == licence.entitlements


def test_an_outage_is_not_a_refusal(licences: FakePermit) -> None:
    for why in ("offline", "timeout", "tls", "proxy", "half_answer"):
        licences.offline(why)
        licence = licences.permit().check(licences.issue())
        assert ("could_not_check", why) == told(licence)
        assert not licence.refused
        assert "key" not in licence.message


def test_a_suspension_is_seen_and_ends(licences: FakePermit) -> None:
    permit, key = licences.permit(), licences.issue()
    permit.check(key)
    licences.suspend(key)
    licence = permit.check(key, fresh=True)
    assert ("refused", "SUSPENDED") == told(licence)
    assert "SUSPENDED" == licence.code

    licences.offline()
    assert ("refused", "SUSPENDED") == told(licences.permit().check(key))
    licences.online()
    licences.reinstate(key)
    assert ("allowed", "verdict") == told(licences.permit().check(key))


def test_an_unknown_key(licences: FakePermit) -> None:
    """It takes no lease away, is not asked about again at once, and replaces no key."""
    permit, key = licences.permit(), licences.issue()
    permit.check(key)
    for _ in range(3):
        assert ("refused", "NOT_FOUND") == told(permit.check("ABCDEF-ABCDEF"))
    assert 2 == asked(licences)
    assert ("allowed", "lease") == told(permit.state())
    assert ("allowed", "lease") == told(permit.check())
    assert ("allowed", "verdict") == told(permit.check(fresh=True))


def test_the_refusal_of_another_key_leaves_a_lease_alone(licences: FakePermit) -> None:
    permit, key, other = licences.permit(), licences.issue(), licences.issue()
    permit.check(key)
    licences.revoke(other)
    assert ("refused", "REVOKED") == told(permit.check(other))
    licences.offline()
    assert ("allowed", "lease") == told(licences.permit().check(key))


@pytest.mark.parametrize("key", ["", "x" * 257, "a\0b", "\ud800"], ids=repr)
def test_what_can_be_no_key_is_not_sent(licences: FakePermit, key: str) -> None:
    assert ("refused", "NOT_FOUND") == told(licences.permit().check(key))
    assert [] == licences.requests


def test_a_forger_is_not_believed(licences: FakePermit) -> None:
    key = licences.issue()
    licences.revoke(key)
    licences.forge(valid=True, code="VALID")
    permit = licences.permit()
    assert ("not_believed", "bad_signature") == told(permit.check(key))
    assert ("not_believed", "bad_signature") == told(permit.check(key))
    assert 1 == asked(licences)
    assert ("could_not_check", "nothing_remembered") == told(permit.state())


def test_a_forged_no_leaves_the_lease_alone(licences: FakePermit) -> None:
    permit, key = licences.permit(), licences.issue()
    permit.check(key)
    licences.forge(valid=False, code="REVOKED")
    licence = permit.check(key, fresh=True)
    assert ("allowed", "lease") == told(licence)
    assert licence.trouble is not None
    assert licence.trouble.is_forgery


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"dev": "0" * 64}, "other_device"),
        ({"aud": "viewer"}, "other_product"),
        ({"nonce": "x"}, "other_nonce"),
        ({"ver": "2020-01-01"}, "other_build"),
        ({"exp": "never"}, "bad_claims"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_was_signed_for_something_else(
    licences: FakePermit, claims: dict[str, Any], reason: str
) -> None:
    licences.sign_wrongly(**claims)
    assert ("not_believed", reason) == told(licences.permit().check(licences.issue()))


def test_keys_of_a_rotation(licences: FakePermit) -> None:
    """A program that embeds other keys believes nothing, and says why."""
    other = FakePermit().keys
    licence = licences.permit(keys=other).check(licences.issue())
    assert ("not_believed", "unknown_key") == told(licence)
    both = {"keys": other["keys"] + licences.keys["keys"]}
    assert licences.permit(keys=both).check(licences.issue()).allowed


def test_the_issuer_is_compared_where_it_is_given(licences: FakePermit) -> None:
    key = licences.issue()
    assert licences.permit(issuer=licences.tenant).check(key).allowed
    assert licences.permit(keys={**licences.keys, "issuer": licences.tenant}).check(key).allowed
    licence = licences.permit(issuer=licences.tenant + "x").check(key, fresh=True)
    assert licence.trouble is not None
    assert "other_issuer" == licence.trouble.why


def test_a_clock_that_is_set_back(licences: FakePermit) -> None:
    key = licences.issue()
    licences.permit().check(key)
    licences.offline()
    licences.set_clock_back(hours=2)
    permit = licences.permit()
    assert ("could_not_check", "clock_set_back") == told(permit.state())
    licence = permit.check(key)
    assert ("could_not_check", "clock_set_back") == told(licence)
    assert "clock" in licence.message

    licences.online()
    assert ("allowed", "verdict") == told(permit.check(key, fresh=True))
    licences.offline()
    assert ("allowed", "lease") == told(licences.permit().check(key))


def test_how_late_it_has_been_is_noted(licences: FakePermit) -> None:
    """A lease does not come back with the clock that is set back."""
    key = licences.issue()
    licences.permit().check(key)
    licences.offline()
    licences.move_clock(days=8)
    assert not licences.permit().check(key).allowed
    licences.set_clock_back(days=3)
    assert ("could_not_check", "clock_set_back") == told(licences.permit().check(key))


def test_a_machine_asleep_for_a_month(licences: FakePermit) -> None:
    permit, key = licences.permit(), licences.issue()
    permit.check(key)
    licences.offline()
    licences.move_clock(days=30, asleep=True)
    assert ("could_not_check", "lease_ended") == told(permit.state())


def test_too_many_devices_and_a_way_out(licences: FakePermit) -> None:
    """The holder sees where the seats are, frees one, and is in."""
    key = licences.issue(seats=1)
    licences.take_seat(key, "old laptop")
    permit = licences.permit()
    licence = permit.check(key)
    assert ("refused", "TOO_MANY_DEVICES") == told(licence)
    [device] = licence.devices
    assert "old laptop" == device.name
    assert device.last_seen_at is not None

    assert permit.release(device)
    assert ("allowed", "verdict") == told(permit.check(key))


def test_release_gives_back_and_forgets(licences: FakePermit) -> None:
    permit, key = licences.permit(), licences.issue()
    permit.check(key)
    assert "RELEASED" == permit.release().code
    assert ("could_not_check", "released") == told(permit.state())
    assert {} == licences.licence(key).devices
    licences.offline()
    assert not licences.permit().check(key).allowed
    licences.online()
    assert ("allowed", "verdict") == told(licences.permit().check(key))


def test_a_release_that_was_not_sent_keeps_the_lease(licences: FakePermit) -> None:
    permit, key = licences.permit(), licences.issue()
    permit.check(key)
    licences.offline()
    released = permit.release()
    assert not released
    assert "offline" == released.code
    assert ("allowed", "lease") == told(permit.state())


def test_a_release_whose_answer_got_lost_keeps_none(licences: FakePermit) -> None:
    """The seat may be another's by now."""
    permit, key = licences.permit(), licences.issue()
    permit.check(key)
    licences.answer_anything(429, b"{}")
    assert not permit.release()
    assert ("allowed", "lease") == told(permit.state())
    licences.offline("half_answer")
    licences._came = licences._came._replace(was_sent=True)
    assert not permit.release()
    assert ("could_not_check", "released") == told(permit.state())


def test_releasing_without_a_key(licences: FakePermit) -> None:
    assert "no_key" == licences.permit().release().code
    assert ("could_not_check", "no_key") == told(licences.permit().check())


def test_usage_is_counted_and_limited(licences: FakePermit) -> None:
    permit, key = licences.permit(), licences.issue(meters={"exports": 10})
    permit.check(key)
    assert ("allowed", "counted", 7, 10) == used(permit.use("exports", 7))
    assert ("refused", "LIMIT_REACHED", 7, 10) == used(permit.use("exports", 4))
    assert ("refused", "METER_UNKNOWN", None, None) == used(permit.use("imports"))
    licences.suspend(key)
    assert ("refused", "SUSPENDED", None, None) == used(permit.use("exports"))
    licences.forge(allowed=True)
    assert ("not_believed", "bad_signature", None, None) == used(permit.use("exports"))
    licences.online()
    licences.sign_wrongly(meter="free", allowed=True)
    assert ("not_believed", "other_meter", None, None) == used(permit.use("exports"))
    licences.offline()
    assert ("could_not_check", "offline", None, None) == used(permit.use("exports"))


def used(usage: permit_client.Usage) -> tuple[str, str, Any, Any]:
    assert isinstance(usage.message, str)
    return usage.answer, usage.why, usage.used, usage.limit


def test_a_usage_whose_answer_got_lost_counts_once(licences: FakePermit) -> None:
    permit, key = licences.permit(), licences.issue(meters={"exports": 10})
    permit.check(key)
    licences.offline("half_answer")
    permit.use("exports", idempotency_key="of-this-export")
    licences.online()
    permit.use("exports")
    sent = [body["idempotency_key"] for path, body in licences.requests if "usage" in path]
    assert 1 == len(sent)


def test_a_seat_is_renewed_and_given_back(licences: FakePermit) -> None:
    key = licences.issue(seats=1, seat_ttl=timedelta(minutes=2))
    with licences.permit().seat(key) as licence:
        assert licence.allowed
        assert 1 == len(licences.licence(key).devices)
    assert 0 == len(licences.licence(key).devices)


def test_a_seat_is_given_back_after_an_exception(licences: FakePermit) -> None:
    key = licences.issue(seats=1, seat_ttl=timedelta(minutes=2))
    with pytest.raises(ZeroDivisionError), licences.permit().seat(key, renew=False):
        _ = 1 / 0
    assert 0 == len(licences.licence(key).devices)


def test_a_seat_that_was_refused_gives_nothing_back(licences: FakePermit) -> None:
    key = licences.issue(seats=1, seat_ttl=timedelta(minutes=2))
    licences.take_seat(key)
    with licences.permit().seat(key) as licence:
        assert ("refused", "TOO_MANY_DEVICES") == told(licence)
    assert 1 == len(licences.licence(key).devices)


def test_the_background_sees_a_suspension(licences: FakePermit) -> None:
    """And tells it once, from its own thread."""
    key = licences.issue(seat_ttl=timedelta(seconds=6))
    heard: list[Licence] = []
    has_heard = threading.Event()

    def on_change(licence: Licence) -> None:
        heard.append(licence)
        has_heard.set()

    with licences.permit() as permit:
        assert permit.check(key).allowed
        renewal = permit.renew_in_background(on_change=on_change)
        licences.suspend(key)
        licences.move_clock(seconds=3)
        assert has_heard.wait(10)
        assert renewal.is_running
    assert not renewal.is_running
    assert [("refused", "SUSPENDED")] == [told(each) for each in heard]


def test_a_lease_is_asked_about_again_before_it_ends(licences: FakePermit) -> None:
    """Also where the server was away when it was due."""
    permit, key = licences.permit(), licences.issue()
    permit.check(key)
    licences.offline()
    licences.move_clock(days=5)
    assert ("allowed", "lease") == told(permit.check(key))
    assert 6 * 3600 == permit.seconds_until_due()
    licences.online()
    licences.move_clock(hours=6)
    assert ("allowed", "verdict") == told(permit.check(key))


def test_the_circuit_rests(licences: FakePermit) -> None:
    """A server that does not answer is left alone, and asked again."""
    permit, key = licences.permit(), licences.issue()
    licences.busy()
    assert ("could_not_check", "busy") == told(permit.check(key))
    licences.online()
    assert ("could_not_check", "busy") == told(permit.check(key))
    assert 0 == asked(licences)
    assert 5.0 == permit.seconds_until_due()
    licences.move_clock(seconds=5)
    assert ("allowed", "verdict") == told(permit.check(key))


def test_a_person_is_not_made_to_wait_but_by_the_server(licences: FakePermit) -> None:
    permit, key = licences.permit(), licences.issue()
    licences.busy()
    permit.check(key)
    licences.busy(retry_after=30)
    assert ("could_not_check", "busy") == told(permit.check(key, fresh=True))
    licences.online()
    licences.move_clock(seconds=29)
    assert ("could_not_check", "busy") == told(permit.check(key, fresh=True))
    licences.move_clock(seconds=1)
    assert ("allowed", "verdict") == told(permit.check(key, fresh=True))


def test_who_is_in_between_cannot_keep_a_person_waiting(licences: FakePermit) -> None:
    """`Retry-After` is not signed."""
    permit, key = licences.permit(), licences.issue()
    licences.busy(retry_after=10**9)
    permit.check(key)
    licences.online()
    licences.move_clock(minutes=5)
    assert ("allowed", "verdict") == told(permit.check(key, fresh=True))


def test_waits_grow_and_are_spread() -> None:
    assert [0.0] * 4 == [wait_after(n, None, 0.0) for n in range(1, 5)]
    assert [5.0, 10.0, 20.0, 40.0] == [wait_after(n, None, 1.0) for n in range(1, 5)]
    assert (300.0, 600.0) == (wait_after(5, None, 0.0), wait_after(5, None, 1.0))
    assert 3600.0 == wait_after(50, None, 1.0)
    assert (120.0, 150.0) == (wait_after(1, 120.0, 0.0), wait_after(1, 120.0, 1.0))


def test_who_has_a_lease_is_in_no_hurry_and_never_late() -> None:
    day = 86_400.0
    assert (0.0, 21_600.0) == (wait_after(1, None, 0.0, 2 * day), wait_after(1, None, 1.0, 2 * day))
    assert 0.25 * day == wait_after(9, None, 1.0, day)
    for failures in range(1, 9):
        assert all(wait_after(failures, None, chance, 80.0) <= 20.0 for chance in (0.0, 0.5, 1.0))


def test_a_hundred_thousand_programs_after_an_outage() -> None:
    """Four hours, and then no peak of more than three times the average; nobody loses a lease."""
    path = Path(__file__).resolve().parents[1] / "bench" / "simulation.py"
    found: dict[str, Any] = {"__file__": str(path), "__name__": "simulation"}
    exec(compile(path.read_text("utf-8"), str(path), "exec"), found)  # noqa: S102 (our own file)
    for seed in (1, 2):
        _, answered, lost = found["simulate"](seed)
        after = int(found["OUTAGE"][1] / found["BIN"])
        assert max(answered[after:]) <= 3 * sum(answered) / len(answered)
        assert 0 == lost


def test_a_kept_key_needs_no_typing(licences: FakePermit) -> None:
    key = licences.issue()
    licences.permit(keep_key=True).check(key)
    assert ("allowed", "lease") == told(licences.permit().check())
    assert licences.permit().check(fresh=True).why == "verdict"


def test_a_key_is_not_kept_unless_asked(tmp_path: Path, licences: FakePermit) -> None:
    key = licences.issue()
    licences.permit(store=tmp_path).check(key)
    [file] = tmp_path.glob("*.json")
    assert key not in file.read_text()
    assert key.replace("-", "") not in file.read_text()


def test_messages_can_be_replaced(licences: FakePermit) -> None:
    permit = licences.permit(messages={"refused.NOT_FOUND": "Diesen Schlüssel gibt es nicht."})
    assert "Diesen Schlüssel gibt es nicht." == permit.check("x").message
    with pytest.raises(ValueError, match="nothing is called refused"):
        licences.permit(messages={"refused.NOTFOUND": "x"})


def test_every_message_is_a_sentence() -> None:
    texts = [sentence({}, *name.partition(".")[::2]) for name in names()]
    assert all(text.endswith(".") and text[0].isupper() for text in texts)


@pytest.mark.parametrize(
    ("settings", "error", "text"),
    [
        ({"keys": {}}, ValueError, "keys"),
        ({"keys": "not JSON"}, ValueError, "keys"),
        ({"keys": 7}, ValueError, "keys"),
        ({"product": 7}, TypeError, "product"),
        ({"product": ""}, ValueError, "product"),
        ({"build_date": "tomorrow"}, ValueError, "build_date"),
        ({"build_date": 2026}, TypeError, "build_date"),
        ({"fingerprint": "short"}, ValueError, "fingerprint"),
        ({"fingerprint": 7}, TypeError, "fingerprint"),
        ({"transport": None, "base_url": "http://licences.example.com"}, ValueError, "https"),
        ({"transport": None, "base_url": "licences.example.com"}, ValueError, "https"),
        ({"transport": None, "base_url": 7}, TypeError, "base_url"),
        ({"version": "x" * 65}, ValueError, "version"),
    ],
    ids=str,
)
def test_a_vendors_mistake_is_told_at_the_start(
    licences: FakePermit, settings: dict[str, Any], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        licences.permit(**settings)


def test_a_build_date_is_a_day_in_utc(licences: FakePermit) -> None:
    east = timezone(timedelta(hours=9))
    for given in (
        "2026-11-22",
        date(2026, 11, 22),
        datetime(2026, 11, 22, 8),  # noqa: DTZ001
        datetime(2026, 11, 23, 3, tzinfo=east),
    ):
        licences.permit(build_date=given).check(licences.issue(), fresh=True)
    assert {"2026-11-22"} == {body["version_date"] for _, body in licences.requests}


@pytest.mark.parametrize(
    "wrong",
    [
        "2026-11-31",
        "2026-02-29",
        "0000-01-01",
        "20261122",
        "2026-1-01",
        "2026/11/22",
        "2026-11-22 ",
        "２０２６-11-22",
        "2026-00-10",
        "2026-13-10",
        "",
    ],
)
def test_what_is_no_day(licences: FakePermit, wrong: str) -> None:
    with pytest.raises(ValueError, match="build_date"):
        licences.permit(build_date=wrong)


def test_a_new_build_asks_once_more(licences: FakePermit) -> None:
    key = licences.issue(
        expires_in=timedelta(days=1), on_expiry="maintain", lease=timedelta(days=365)
    )
    today = datetime.fromtimestamp(licences.now, timezone.utc).date()
    assert licences.permit(build_date=today).check(key).allowed
    licences.move_clock(days=10)
    newer = licences.permit(build_date=today + timedelta(days=5))
    assert ("refused", "VERSION_NOT_COVERED") == told(newer.check(key))


def test_components_are_sent_where_asked_for(licences: FakePermit) -> None:
    licences.permit(components=True).check(licences.issue())
    [(_, request)] = licences.requests
    assert {*request["device"]["components"]} <= {"machine", "host", "network"}
    assert all(len(value) == 64 for value in request["device"]["components"].values())


def test_async_is_the_same(licences: FakePermit) -> None:
    key = licences.issue(seats=1, meters={"exports": 1}, seat_ttl=timedelta(seconds=60))

    async def program() -> None:
        permit = AsyncPermit(**licences.arguments)
        assert "nothing_remembered" == permit.state().why
        assert (await permit.check(key)).allowed
        assert (await permit.use("exports")).allowed
        assert (await permit.release()).released
        async with permit.seat(key) as licence:
            assert licence.allowed
            assert 1 == len(licences.licence(key).devices)
        assert {} == licences.licence(key).devices

    asyncio.run(program())


def test_many_threads_ask_once(licences: FakePermit) -> None:
    permit, key = licences.permit(), licences.issue()
    found: list[Licence] = []
    threads = [threading.Thread(target=lambda: found.append(permit.check(key))) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [True] * 20 == [each.allowed for each in found]
    assert 1 == asked(licences)


@pytest.fixture(autouse=True)
def _no_threads_are_left() -> Iterator[None]:
    yield
    assert "permit-renewal" not in [thread.name for thread in threading.enumerate()]


def test_a_permit_is_a_context(licences: FakePermit) -> None:
    with licences.permit() as permit:
        assert isinstance(permit, Permit)
        assert permit.check(licences.issue()).allowed
