"""The alarms watch what is emitted, and treat silence as they should."""

import pytest

from sam_template import of_type

ALARMS = of_type("AWS::CloudWatch::Alarm")


def test_health_alarm_watches_the_metric_of_the_probe() -> None:
    """Two bad minutes of three are an alarm, and so is a probe that says nothing."""
    alarm = ALARMS["HealthAlarm"]
    service = of_type("AWS::Lambda::Function")["ProbeFunction"]["Environment"]["Variables"][
        "POWERTOOLS_SERVICE_NAME"
    ]

    assert ("Permit", "Health") == (alarm["Namespace"], alarm["MetricName"])
    assert [{"Name": "service", "Value": service}] == alarm["Dimensions"]
    assert ("Minimum", "LessThanThreshold", 1) == (
        alarm["Statistic"],
        alarm["ComparisonOperator"],
        alarm["Threshold"],
    )
    assert (60, 2, 3) == (alarm["Period"], alarm["DatapointsToAlarm"], alarm["EvaluationPeriods"])
    assert "breaching" == alarm["TreatMissingData"]


@pytest.mark.parametrize("name", ["ServerErrorAlarm", "LatencyAlarm"])
def test_traffic_alarms_are_quiet_without_traffic(name: str) -> None:
    """No requests means no errors and no latency, not trouble."""
    assert "notBreaching" == ALARMS[name]["TreatMissingData"]


def test_traffic_alarms_watch_this_api() -> None:
    """HTTP APIs name their metrics 5xx, Count and Latency, by ApiId."""
    own = [{"Name": "ApiId", "Value": {"Ref": "Api"}}]
    rate = {
        metric["Id"]: metric["MetricStat"]["Metric"]
        for metric in ALARMS["ServerErrorAlarm"]["Metrics"]
        if "MetricStat" in metric
    }

    assert {"errors": "5xx", "requests": "Count"} == {
        name: metric["MetricName"] for name, metric in rate.items()
    }
    assert all(metric["Dimensions"] == own for metric in rate.values())
    latency = ALARMS["LatencyAlarm"]
    assert ("Latency", own) == (latency["MetricName"], latency["Dimensions"])
    assert "p99" == latency["ExtendedStatistic"]


@pytest.mark.parametrize("name", sorted(ALARMS))
def test_alarm_tells_when_it_starts_and_when_it_ends(name: str) -> None:
    """Whoever is woken learns too when it is over."""
    topic = [{"Ref": "AlarmTopic"}]

    assert topic == ALARMS[name]["AlarmActions"] == ALARMS[name]["OKActions"]
