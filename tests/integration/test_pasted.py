"""What people paste and type is read as what they mean, wherever it is sent."""

from collections.abc import Callable

import pytest

from tests.support.deployment import FINGERPRINT, Deployment

PASTED: dict[str, Callable[[str], str]] = {
    "a newline at its end": lambda key: key + "\n",
    "a wrapped line": lambda key: key[:20] + "\r\n    " + key[20:],
    "no-break and zero-width spaces": lambda key: "\u200b" + key.replace("-", "\u00a0"),
    "en dashes": lambda key: key.replace("-", "–"),
    "full width": lambda key: "".join(chr(ord(each) + 0xFEE0) for each in key),
}


@pytest.mark.parametrize("name", PASTED)
def test_a_pasted_key_is_the_key(deployment: Deployment, name: str) -> None:
    """At the check, a usage, the vendor's search and the release."""
    vendor = deployment.vendor
    policy = vendor.policy(meters=[{"name": "m", "limit": None, "period": None}])
    licence = vendor.licence(policy)
    key = PASTED[name](licence["key"])

    checked = deployment.check(key)
    used = deployment.send("licence_usage", {"key": key, "meter": "m"})
    found = vendor.call("POST", "/v1/licences/lookup", {"key": key})
    released = deployment.release(key, fingerprint=FINGERPRINT)

    assert ("VALID", True, "RELEASED") == (checked["code"], used.body["allowed"], released["code"])
    assert licence["id"] == checked["licence"]["id"] == found["id"]


def test_a_pasted_hint_is_the_hint(deployment: Deployment) -> None:
    """With a newline, in lower case, with an O for a 0."""
    vendor = deployment.vendor
    hint = vendor.licence()["key_hint"]
    pasted = f" {hint.lower().replace('0', 'o')}\n"

    [found] = vendor.call("GET", "/v1/licences", query={"key_hint": pasted})["items"]

    assert hint == found["key_hint"]


@pytest.mark.parametrize("typed", ["istanbul", "İstanbul", "ISTANBUL", "ıstanbul", "i̇stanbul"])
@pytest.mark.parametrize("name", ["İstanbul", "Istanbul", "istanbul A.Ş."])
def test_a_holder_is_found_with_the_i_of_either_language(
    deployment: Deployment, typed: str, name: str
) -> None:
    """With a dot or without one, as a search and as a beginning."""
    vendor = deployment.vendor
    licence = vendor.licence(holder={"name": name})

    for query in ({"q": typed}, {"q": typed[-7:]}, {"holder": typed[:3]}):
        found = vendor.call("GET", "/v1/licences", query=query)["items"]
        assert [licence["id"]] == [each["id"] for each in found], query


@pytest.mark.parametrize(
    ("name", "typed"),
    [
        ("Ann Lee", "ann lee\n"),
        ("Ann Lee", " \ufeffann\u00a0lee"),
        ("Ann Lee", "a\u200bnn"),
        ("Ann\u00a0Lee", "Ann Lee"),
        (" Ann \t Lee", "ann lee"),
        ("An\u00adn\u2003Lee\u200d", "ann  lee"),
        ("Ａｎｎ Lee", "ann"),
    ],
    ids=ascii,
)
def test_a_holder_is_found_by_what_is_pasted(deployment: Deployment, name: str, typed: str) -> None:
    """And by what was pasted when the licence was issued; it is shown as it was sent."""
    vendor = deployment.vendor
    vendor.licence(holder={"name": "Bob", "email": "bob@example.com"})
    licence = vendor.licence(holder={"name": name, "reference": f"{name}-1"})

    for query in ({"q": typed}, {"holder": typed}):
        [found] = vendor.call("GET", "/v1/licences", query=query)["items"]
        assert (licence["id"], name) == (found["id"], found["holder"]["name"]), query


def test_a_search_for_nothing_is_refused(deployment: Deployment) -> None:
    """It would find everybody."""
    for name in ("q", "holder"):
        for text in ("", " ", "\u200b\n"):
            answer = deployment.call(
                "GET", "/v1/licences", query={name: text}, token=deployment.vendor.token
            )
            assert (422, name) == (answer.status, answer.body["errors"][0]["field"])


@pytest.mark.parametrize(
    "paste",
    [
        lambda token: f" {token}\r\n",
        lambda token: f"{token[:20]}\n{token[20:]}",
        lambda token: f"\ufeff{token[:9]}\u200b{token[9:]}\u00a0",
    ],
    ids=["a newline", "a wrapped line", "what nobody sees"],
)
def test_a_pasted_link_token_is_the_token(
    deployment: Deployment, paste: Callable[[str], str]
) -> None:
    """Of an invitation and of a reset."""
    vendor = deployment.vendor
    invited = vendor.call(
        "POST", "/v1/users", {"email": "new@example.com", "role": "admin"}, status=201
    )
    body = {"token": paste(invited["token"]), "password": "a long enough passphrase"}
    accepted = deployment.call("POST", "/v1/users/accept", body)
    path = f"/v1/users/{invited['id']}/password-reset"
    body["token"] = paste(vendor.call("POST", path, status=201)["token"])
    reset = deployment.call("POST", "/v1/users/reset-password", body)

    assert (204, 204) == (accepted.status, reset.status)


@pytest.mark.parametrize("body", ["", " ", "\r\n\t", "\ufeff", " \ufeff\n", "null", "\ufeffnull "])
@pytest.mark.parametrize("media_type", ["application/json", "text/plain"])
def test_a_blank_body_is_none(deployment: Deployment, body: str, media_type: str) -> None:
    """Where it may be left out; where something is needed it is refused. `null` is JSON."""
    vendor = deployment.vendor
    path = f"/v1/licences/{vendor.licence()['id']}/suspend"
    sent = {"raw_body": body, "headers": {"content-type": media_type}, "token": vendor.token}
    is_json = media_type == "application/json"

    optional = deployment.call("POST", path, **sent)
    needed = deployment.call("POST", "/v1/products", **sent)

    assert (200 if is_json or "null" not in body else 415) == optional.status
    assert (422 if is_json else 415) == needed.status


def test_a_parameter_without_a_name_is_the_querys(deployment: Deployment) -> None:
    """There is no body to look at."""
    vendor = deployment.vendor
    for path in ("/v1/licences", "/v1/users/me"):
        answer = deployment.call("GET", path, query={"": "1"}, token=vendor.token)
        assert [{"field": "query", "message": "has a name that is empty: leave it out"}] == (
            answer.body["errors"]
        )


def test_a_stored_email_of_any_form_stays(deployment: Deployment) -> None:
    """What was taken before is shown, its licence changed, and its user helped."""
    vendor = deployment.vendor
    assert vendor.token
    licence = vendor.licence(holder={"email": "ann@example.com"})
    deployment.sql("UPDATE permit.licences SET holder_email = '<ann@example.com>'")
    deployment.sql("UPDATE permit.users SET email = 'mailto:ann@example.com'")

    path = f"/v1/licences/{licence['id']}"
    changed = vendor.call("PATCH", path, {"holder": {"name": "Ann"}, "notes": "x"})
    me = vendor.call("GET", "/v1/users/me")
    helped = deployment.operator("set-password", email="mailto:ann@example.com")

    assert {"name": "Ann", "email": "<ann@example.com>", "reference": None} == changed["holder"]
    assert "mailto:ann@example.com" == me["email"] == helped["email"]
