"""The metric filters and the queries find what the functions really write."""

import json
import re
from typing import Any

import pytest

from deployment import Deployment
from sam_template import nested

STACK = nested("observability")["Resources"]
FILTERS = {
    name: each["Properties"]
    for name, each in STACK.items()
    if each["Type"] == "AWS::Logs::MetricFilter"
}


@pytest.fixture
def lines(deployment: Deployment, capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """What a check, a login and refused ones print."""
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
    printed = capsys.readouterr().out.splitlines()
    return [json.loads(line) for line in printed if '"message": "request"' in line]


def matches(pattern: str, line: dict[str, Any]) -> bool:
    """CloudWatch's JSON patterns, as far as ours go: fields that equal something, joined by &&."""
    terms = re.fullmatch(r"\{ (.*) \}", pattern)
    assert terms
    for term in terms[1].split(" && "):
        [(field, value)] = re.findall(r'^\$\.(\w+) = (".*"|\d+)$', term)
        expected = json.loads(value)
        if field not in line or (expected != "*" and line[field] != expected):
            return False
    return True


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("Checks", ["VALID", "NOT_FOUND"]),
        ("Logins", [None]),
        ("LoginsRefused", ["invalid_credentials"]),
    ],
)
def test_filter_finds_its_requests(
    lines: list[dict[str, Any]], name: str, found: list[str | None]
) -> None:
    """Each verdict by its code, each login by how it ended."""
    pattern = FILTERS[name]["FilterPattern"]

    assert found == [line.get("code") for line in lines if matches(pattern, line)]


def test_filter_of_throttled_logins_has_the_status_that_login_answers() -> None:
    """429, as `test_login_throttle` shows it."""
    assert "$.status = 429" in FILTERS["LoginsThrottled"]["FilterPattern"]


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
