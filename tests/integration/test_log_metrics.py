"""The metric filters and the queries find what the functions really write."""

import json
import re
from typing import Any

import pytest

from permit.people.throttles import PAIR
from tests.support.authenticator import code
from tests.support.deployment import Deployment
from tests.support.sam_template import nested

STACK = nested("observability")["Resources"]
FILTERS = {
    name: each["Properties"]
    for name, each in STACK.items()
    if each["Type"] == "AWS::Logs::MetricFilter"
}


@pytest.fixture
def lines(deployment: Deployment, capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """What a check, logins of one step and of two, and refused ones print."""
    vendor = deployment.vendor
    licence = vendor.licence()
    capsys.readouterr()
    deployment.operator("rotate-token-key")
    deployment.check(licence["key"])
    deployment.check("AAAAAA-AAAAAA-AAAAAA-AAAAAA-AAAAAA")
    sign_in = {"email": vendor.email, "password": vendor.password}
    for body in ({**sign_in, "password": "wrong " + vendor.password}, sign_in):
        deployment.send("login", body)
    deployment.send("login", {})
    path = "/v1/users/me/second-factor"
    secret = vendor.call("POST", path)["secret"]
    vendor.call("POST", f"{path}/confirm", {"code": code(secret, steps=-1)})
    mfa_token = deployment.send("login", sign_in).body["mfa_token"]
    for given in ("000000", code(secret)):
        body = {"mfa_token": mfa_token, "code": given}
        deployment.call("POST", "/v1/login/second-factor", body)
    for _ in range(PAIR.free_attempts + 3):
        deployment.send("login", {**sign_in, "email": "nobody@example.com"})
    printed = capsys.readouterr().out.splitlines()
    return [json.loads(line) for line in printed if '"message": "request"' in line]


def matches(pattern: str, line: dict[str, Any]) -> bool:
    """CloudWatch's JSON patterns, as far as ours go: (equal && equal) || (equal && equal)."""
    terms = re.fullmatch(r"\{ (.*) \}", pattern)
    assert terms
    return any(
        all(equals(term, line) for term in alternative.strip("()").split(" && "))
        for alternative in terms[1].split(" || ")
    )


def equals(term: str, line: dict[str, Any]) -> bool:
    [(field, value)] = re.findall(r'^\$\.(\w+) = (".*"|\d+)$', term)
    return field in line and json.loads(value) in ("*", line[field])


CHECK = "ANY /v1/licences/check"
FIRST, SECOND = "ANY /v1/login", "ANY /v1/login/second-factor"


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("Checks", {(CHECK, "VALID"), (CHECK, "NOT_FOUND")}),
        ("Logins", {(FIRST, None), (SECOND, None)}),
        ("LoginsRefused", {(FIRST, "invalid_credentials"), (SECOND, "invalid_code")}),
        ("LoginsThrottled", {(FIRST, "too_many_attempts")}),
    ],
)
def test_filter_finds_its_requests(
    lines: list[dict[str, Any]], name: str, found: set[tuple[str, str | None]]
) -> None:
    """Each verdict by its code; each login by how its last step ended."""
    pattern = FILTERS[name]["FilterPattern"]

    assert found == {(line["route"], line.get("code")) for line in lines if matches(pattern, line)}


# The words of the query language, and the names that our queries give to what they count.
LANGUAGE = {
    *("stats", "count", "as", "by", "sort", "asc", "desc", "limit", "display", "filter", "like"),
    *("and", "or", "not", "in", "pct", "max", "bin", "ispresent", "m"),
    *("failures", "requests", "checks", "p50", "p99", "longest"),
}
OF_OTHERS = {
    *("sourceIp", "routeKey", "status"),  # the access log, in template.yaml
    *("level", "message", "reason"),  # an error's line, by Lambda or Powertools
}


def test_queries_name_fields_that_lines_have(lines: list[dict[str, Any]]) -> None:
    """A query over a field that nobody writes finds nothing, and nobody notices."""
    written = {field for line in lines for field in line} | OF_OTHERS
    for each in STACK.values():
        if each["Type"] == "AWS::Logs::QueryDefinition":
            query = re.sub(r'"[^"]*"|/[^/]*/', "", each["Properties"]["QueryString"])
            words = set(re.findall(r"(?<![@\w])[A-Za-z]\w*", query))

            assert words - LANGUAGE <= written
