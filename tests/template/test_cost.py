"""docs/cost.md adds up, and deploys with parameters that there are."""

import re
from math import prod

import pytest

from tests.support.sam_template import ROOT, deployed, nested, routes, written
from tests.support.template_variants import variant

TEXT = (ROOT / "docs" / "cost.md").read_text(encoding="utf-8")
NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")
AMOUNT = re.compile(r"\**(\d+\.\d\d)\**")


def columns() -> dict[str, list[tuple[str, str]]]:
    """How and how much, line by line, of each priced column: two to a month, one to a million."""
    found: dict[str, list[tuple[str, str]]] = {"standard": [], "frugal": [], "million": []}
    for row in re.findall(r"^\| (.+) \|$", TEXT, re.MULTILINE):
        cells = [cell.strip() for cell in row.split("|")]
        names = {5: ["standard", "frugal"], 3: ["million"]}.get(len(cells), [])
        for name, how, amount in zip(names, cells[1::2], cells[2::2], strict=True):
            if AMOUNT.fullmatch(amount):
                found[name].append((how, amount.strip("*")))
    return found


def worked_out(how: str) -> float:
    """The product of the factors, each with its unit behind it; none is nothing."""
    if how.startswith("none"):
        return 0.0
    factors = (NUMBER.search(factor) for factor in how.split("×"))
    return prod(float(factor[0].replace(",", "")) for factor in factors if factor)


@pytest.mark.parametrize("name", ["standard", "frugal", "million"])
def test_every_amount_is_the_product_in_front_of_it(name: str) -> None:
    """To the cent."""
    *lines, _ = columns()[name]

    assert len(lines) > 10
    assert [float(amount) for _, amount in lines] == [
        pytest.approx(worked_out(how), abs=0.0051) for how, _ in lines
    ]


@pytest.mark.parametrize("name", ["standard", "frugal", "million"])
def test_every_total_is_the_sum_of_its_lines(name: str) -> None:
    """Nothing is left out of it."""
    *lines, (_, total) = columns()[name]

    assert float(total) == pytest.approx(sum(float(amount) for _, amount in lines))


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("standard", {"Engine": "aurora", "ProxyName": "permit"}),
        ("frugal", {"Engine": "instance", "ProxyName": ""}),
    ],
)
def test_alarms_are_charged_for_each_metric(name: str, parameters: dict[str, str]) -> None:
    """The main stack's and those of the nested one that has the others, for eight functions."""
    alarms = [
        resource["Properties"]
        for resources in (deployed(), variant(nested("observability"), **parameters))
        for resource in resources.values()
        if resource["Type"] == "AWS::CloudWatch::Alarm"
    ]
    metrics = sum(
        len([each for each in alarm.get("Metrics", [{"MetricStat": {}}]) if "MetricStat" in each])
        for alarm in alarms
    )

    more = len(set(routes().values())) - 8
    assert "**Functions**: eight with a route. Each more has two alarms" in TEXT
    assert f"{metrics - 2 * more} × $0.10" in [how for how, _ in columns()[name]]


def test_parameter_sets_name_parameters_of_the_template() -> None:
    """With values that it allows."""
    parameters = written()["Parameters"]
    overrides = re.findall(
        r"(?<![`\w])([A-Z]\w+)=([\w.]+)", "\n".join(re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL))
    )

    assert len(overrides) > 15
    for name, value in overrides:
        assert value in map(str, parameters[name].get("AllowedValues", [value]))
