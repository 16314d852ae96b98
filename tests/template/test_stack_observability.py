"""stacks/observability.yaml: alarms that treat silence as they should, a dashboard that draws."""

import json
import re
from dataclasses import fields
from typing import Any

import pytest

from local.template.intrinsics import Resolver
from permit.upkeep import SweepCounts
from tests.support.sam_template import ROOT, functions, nested, of_type, routes, written
from tests.support.template_variants import named, variant

VARIANTS = {
    "standard": {"Engine": "aurora", "ProxyName": "permit"},
    "frugal": {"Engine": "instance", "ProxyName": ""},
}
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")


def resources(kind: str, variant_name: str | None = None) -> dict[str, dict[str, Any]]:
    stack = nested("observability")
    found = stack["Resources"] if variant_name is None else variant(stack, **VARIANTS[variant_name])
    return {
        name: resource["Properties"]
        for name, resource in found.items()
        if resource["Type"] == f"AWS::{kind}"
    }


def child(variant_name: str) -> Resolver:
    """Resolves what is in the stack, as the template gives it its parameters."""
    given = written()["Resources"]["Observability"]["Properties"]["Parameters"]
    resolved = {name: named(written()).resolve(value) for name, value in given.items()}
    return named(nested("observability"), **resolved | VARIANTS[variant_name])


ALARMS = resources("CloudWatch::Alarm")
# Those of each function with a route are in the template itself.
OF_FUNCTIONS = of_type("AWS::CloudWatch::Alarm")
ROUTED = {
    named(written()).resolve(functions()[name]["FunctionName"]) for name in set(routes().values())
}


def test_health_alarm_watches_the_metric_of_the_probe() -> None:
    """Two bad minutes of three are an alarm."""
    alarm = ALARMS["HealthAlarm"]
    service = of_type("AWS::Lambda::Function")["ProbeFunction"]["Environment"]["Variables"][
        "POWERTOOLS_SERVICE_NAME"
    ]

    assert ("Permit", "Health") == (alarm["Namespace"], alarm["MetricName"])
    assert [{"Name": "service", "Value": {"Ref": "StackName"}}] == alarm["Dimensions"]
    assert {"Ref": "AWS::StackName"} == service
    assert ("Minimum", "LessThanThreshold", 1) == (
        alarm["Statistic"],
        alarm["ComparisonOperator"],
        alarm["Threshold"],
    )
    assert (60, 2, 3) == (alarm["Period"], alarm["DatapointsToAlarm"], alarm["EvaluationPeriods"])


@pytest.mark.parametrize("name", sorted(ALARMS | OF_FUNCTIONS))
def test_silence_is_an_alarm_of_the_probe_alone(name: str) -> None:
    """What counts errors says nothing when there are none; the probe speaks every minute.

    Its silence pages by itself, once it has spoken: a new stack, which has no data yet, is quiet.
    """
    alarm = (ALARMS | OF_FUNCTIONS)[name]

    if name == "HealthAlarm":
        assert "missing" == alarm["TreatMissingData"]
        told = [{"Ref": "AlarmTopicArn"}, {"Ref": "PageTopicArn"}]
        assert told == alarm["InsufficientDataActions"]
    else:
        assert "notBreaching" == alarm["TreatMissingData"]
        assert "InsufficientDataActions" not in alarm


@pytest.mark.parametrize("name", sorted(ALARMS | OF_FUNCTIONS))
def test_alarm_tells_when_it_starts_and_when_it_ends(name: str) -> None:
    """The people who were woken are told when it is over, too."""
    topic = [{"Ref": "AlarmTopicArn" if name in ALARMS else "AlarmTopic"}]
    alarm = (ALARMS | OF_FUNCTIONS)[name]

    assert topic == alarm["AlarmActions"] == alarm["OKActions"]


def test_every_function_with_a_route_has_its_two_alarms() -> None:
    """One for what it fails at, one for what Lambda refuses before it."""
    resolver = named(written())
    expected = [(metric, name) for metric in ("Errors", "Throttles") for name in ROUTED]
    watched = [
        (alarm["MetricName"], resolver.resolve(alarm["Dimensions"][0]["Value"]))
        for alarm in OF_FUNCTIONS.values()
    ]

    assert sorted(expected) == sorted(watched)


def test_refused_invocations_are_an_alarm_after_two_minutes_of_five() -> None:
    """Each refused one is a caller who was not served."""
    for name, alarm in OF_FUNCTIONS.items():
        if alarm["MetricName"] == "Throttles":
            assert ("AWS/Lambda", "Sum", 60) == tuple(
                alarm[key] for key in ("Namespace", "Statistic", "Period")
            ), name
            assert ("GreaterThanThreshold", 0, 2, 5) == tuple(
                alarm[key]
                for key in (
                    *("ComparisonOperator", "Threshold"),
                    *("DatapointsToAlarm", "EvaluationPeriods"),
                )
            ), name


def test_traffic_alarms_watch_this_api() -> None:
    """HTTP APIs name their metrics 5xx, Count and Latency, by ApiId."""
    own = [{"Name": "ApiId", "Value": {"Ref": "ApiId"}}]
    rate = [each["MetricStat"]["Metric"] for each in ALARMS["ServerErrorAlarm"]["Metrics"][1:]]

    assert ["5xx", "Count"] == [metric["MetricName"] for metric in rate]
    assert all(metric["Dimensions"] == own for metric in rate)
    latency = ALARMS["LatencyAlarm"]
    assert ("Latency", "p99", own) == (
        *(latency["MetricName"], latency["ExtendedStatistic"]),
        latency["Dimensions"],
    )


def test_pinned_sessions_are_an_alarm_after_fifteen_minutes() -> None:
    """A pinned session keeps a connection of the database from everybody else."""
    alarm = resources("CloudWatch::Alarm", "standard")["PinnedSessionAlarm"]

    assert "DatabaseConnectionsCurrentlySessionPinned" == alarm["MetricName"]
    assert 15 * 60 == alarm["Period"] * alarm["DatapointsToAlarm"]
    assert 0 == alarm["Threshold"]
    assert "PinnedSessionAlarm" not in resources("CloudWatch::Alarm", "frugal")


@pytest.mark.parametrize("variant_name", VARIANTS)
def test_the_page_names_every_alarm(variant_name: str) -> None:
    """One alarm pages, and none is left out of it: not those that stop a deployment either."""
    [composite] = resources("CloudWatch::CompositeAlarm", variant_name).values()
    rule = child(variant_name).resolve(composite["AlarmRule"])
    resolver = named(written())
    of_functions = {resolver.resolve(alarm["AlarmName"]) for alarm in OF_FUNCTIONS.values()}

    terms = [re.fullmatch(r'ALARM\("([\w-]+)"\)', term) for term in rule.split(" OR ")]

    assert of_functions | set(resources("CloudWatch::Alarm", variant_name)) == {
        term[1] for term in terms if term
    }
    assert all(terms)
    assert [{"Ref": "PageTopicArn"}] == composite["AlarmActions"] == composite["OKActions"]


@pytest.mark.parametrize("variant_name", VARIANTS)
def test_dashboard_is_json(variant_name: str) -> None:
    """With its references replaced: CloudWatch would refuse the stack otherwise."""
    body = dashboard(variant_name)
    titles = [widget["properties"]["title"] for widget in body["widgets"]]

    assert 11 == len(titles) == len(set(titles))
    assert all(widget["properties"]["metrics"] for widget in body["widgets"])
    assert all(0 <= w["x"] <= w["x"] + w["width"] <= 24 for w in body["widgets"])


def dashboard(variant_name: str) -> dict[str, Any]:
    [drawn] = resources("CloudWatch::Dashboard", variant_name).values()
    return json.loads(child(variant_name).resolve(drawn["DashboardBody"]))


def test_dashboard_draws_every_function_with_a_route() -> None:
    """How long it takes, how many environments it has, what is refused, what fails."""
    lines = [
        line
        for widget in dashboard("standard")["widgets"]
        for line in widget["properties"]["metrics"]
        if line[0] == "AWS/Lambda"
    ]

    assert {
        (metric, name)
        for metric in ("Duration", "ConcurrentExecutions", "Throttles", "Errors")
        for name in ROUTED
    } == {(line[1], line[3]) for line in lines}
    assert {("p50", name) for name in ROUTED} | {("p99", name) for name in ROUTED} == {
        (line[4]["stat"], line[3]) for line in lines if line[1] == "Duration"
    }


def test_metrics_of_ours_are_emitted() -> None:
    """What the dashboard draws of the sweep and the probe is what they publish."""
    drawn = json.dumps(nested("observability")["Resources"]["Dashboard"])
    ours = set(re.findall(r'\[\\"Permit\\", \\"(\w+)\\", \\"service\\"', drawn))
    emitted = {field.name.title().replace("_", "") for field in fields(SweepCounts)}
    emitted |= set(
        re.findall(r'add_metric\("(\w+)"', (ROOT / "functions/probe/app.py").read_text())
    )

    assert {"Health", "SeatsTaken"} <= ours <= emitted


def test_log_metrics_are_drawn_and_watched_by_their_names() -> None:
    """The names of the metric filters are those of the dashboard and of the alarm."""
    filters = resources("Logs::MetricFilter")
    names = {each["MetricTransformations"][0]["MetricName"]["Fn::Sub"] for each in filters.values()}
    drawn = json.dumps(nested("observability")["Resources"]["Dashboard"])

    assert all(name in drawn for name in names)
    watched = re.findall(r"\$\{StackName\}-logins-\w+", json.dumps(ALARMS["LoginFailureAlarm"]))
    assert 2 == len(set(watched) & names)


def test_runbook_has_a_section_for_each_alarm() -> None:
    """Every alarm says its heading."""
    resolver = named(written())
    said = {
        name: re.search(r"Runbook: ([^.]+)\.$", resolver.resolve(alarm["AlarmDescription"]))
        for name, alarm in {**ALARMS, **OF_FUNCTIONS}.items()
    }
    alarm_sections = RUNBOOK.partition("## When an alarm rings")[2].partition("\n## ")[0]

    assert {match[1] for match in said.values() if match} == set(
        re.findall(r"^### (.+)$", alarm_sections, re.MULTILINE)
    )
    assert all(said.values())


def test_five_queries_answer_what_is_asked_at_night() -> None:
    """Each over log groups that it is given, and named in the runbook."""
    queries = resources("Logs::QueryDefinition")

    assert 5 == len(queries)
    for query in queries.values():
        assert query["LogGroupNames"]
        assert query["Name"]["Fn::Sub"].removeprefix("${StackName}/") in RUNBOOK


def test_queries_over_all_functions_ask_the_log_group_of_each() -> None:
    """As the functions themselves name them, and no other."""
    resolver = named(written())
    own = {resolver.resolve(each["LoggingConfig"]["LogGroup"]) for each in functions().values()}
    asked = [
        child("standard").resolve(query["LogGroupNames"])
        for query in resources("Logs::QueryDefinition").values()
    ]

    assert 3 == sum(set(groups) == own for groups in asked)
    assert all(set(groups) == own or len(groups) == 1 for groups in asked)
