"""stacks/observability.yaml: alarms that treat silence as they should, a dashboard that draws."""

import json
import re
from dataclasses import fields
from typing import Any

import pytest

from permit.upkeep import SweepCounts
from tests.support.sam_template import ROOT, deployed, nested, of_type
from tests.support.template_variants import variant

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


ALARMS = resources("CloudWatch::Alarm")


def test_health_alarm_watches_the_metric_of_the_probe() -> None:
    """Two bad minutes of three are an alarm, and so is a probe that says nothing."""
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


@pytest.mark.parametrize("name", sorted(ALARMS))
def test_silence_is_an_alarm_of_the_probe_alone(name: str) -> None:
    """What counts errors says nothing when there are none; the probe speaks every minute."""
    expected = "breaching" if name == "HealthAlarm" else "notBreaching"

    assert expected == ALARMS[name]["TreatMissingData"]


@pytest.mark.parametrize("name", sorted(ALARMS))
def test_alarm_tells_when_it_starts_and_when_it_ends(name: str) -> None:
    """Whoever is woken learns too when it is over."""
    topic = [{"Ref": "AlarmTopicArn"}]

    assert topic == ALARMS[name]["AlarmActions"] == ALARMS[name]["OKActions"]


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
    _, (rollback, *rules) = composite["AlarmRule"]["Fn::Join"]
    named = set(re.findall(r'ALARM\("\$\{(\w+)\}"\)', " ".join(rule["Fn::Sub"] for rule in rules)))
    given = json.dumps(deployed()["Observability"]["Properties"]["Parameters"]["RollbackAlarmRule"])

    assert set(resources("CloudWatch::Alarm", variant_name)) == named
    assert {"Ref": "RollbackAlarmRule"} == rollback
    assert set(of_type("AWS::CloudWatch::Alarm")) == set(re.findall(r"\$\{(\w+)\}", given))
    assert [{"Ref": "PageTopicArn"}] == composite["AlarmActions"] == composite["OKActions"]


@pytest.mark.parametrize("variant_name", VARIANTS)
def test_dashboard_is_json(variant_name: str) -> None:
    """With its references replaced: CloudWatch would refuse the stack otherwise."""
    [dashboard] = resources("CloudWatch::Dashboard", variant_name).values()
    text, values = dashboard["DashboardBody"]["Fn::Sub"]
    body = json.loads(re.sub(r"\$\{(AWS::)?(\w+)\}", lambda m: str(values.get(m[2], "x")), text))
    titles = [widget["properties"]["title"] for widget in body["widgets"]]

    assert 11 == len(titles) == len(set(titles))
    assert all(widget["properties"]["metrics"] for widget in body["widgets"])
    assert all(0 <= w["x"] <= w["x"] + w["width"] <= 24 for w in body["widgets"])


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
    alarms = {**ALARMS, **of_type("AWS::CloudWatch::Alarm")}
    said = {
        name: re.search(r"Runbook: ([^.]+)\.$", alarm["AlarmDescription"])
        for name, alarm in alarms.items()
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
