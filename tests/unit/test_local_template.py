"""local/template.py and local/throttle.py: what the gateway takes from a SAM template."""

from pathlib import Path
from typing import Any

import pytest

from local.gateway.routes import Routes
from local.gateway.throttle import Limit, Throttle, read_throttle
from local.refusal import CannotRun
from local.template.intrinsics import Resolver, parse
from local.template.template import Function, read_functions

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = """
Parameters:
  Stage: {Type: String, Default: dev}
  Host: {Type: String}
  Zones: {Type: CommaDelimitedList, Default: "a, b"}
Conditions:
  IsProduction: !Equals [!Ref Stage, prod]
  IsOther: !Not [!Condition IsProduction]
Globals:
  Function:
    Handler: app.handler
    Runtime: python3.13
    Timeout: 10
    Environment:
      Variables: {STAGE: !Ref Stage, HOST: !Ref Host}
Resources:
  Api:
    Type: AWS::Serverless::HttpApi
    Properties:
      DefaultRouteSettings: {ThrottlingRateLimit: 50, ThrottlingBurstLimit: 100}
      RouteSettings:
        GET /things/{id}: {ThrottlingRateLimit: 2}
  Things:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: functions/things/
      Timeout: 3
      LoggingConfig: {LogFormat: JSON}
      ReservedConcurrentExecutions: !If [IsProduction, 100, !Ref AWS::NoValue]
      Environment:
        Variables:
          NAME: !Sub "${Stage}-${Api}-${Own}-${!Literal}"
          SECRET: !GetAtt Secret.Arn
      Events:
        One: {Type: HttpApi, Properties: {Method: get, Path: "/things/{id}"}}
        All: {Type: HttpApi, Properties: {Method: ANY, Path: /things}}
        Every: {Type: ScheduleV2, Properties: {ScheduleExpression: rate(5 minutes)}}
  Alone:
    Type: AWS::Serverless::Function
    IgnoreGlobals: [Environment]
    Properties: {CodeUri: functions/alone}
  OnlyInProduction:
    Type: AWS::Serverless::Function
    Condition: IsProduction
    Properties: {CodeUri: functions/alone}
"""


def functions(text: str = TEMPLATE) -> dict[str, Function]:
    return {each.name: each for each in read_functions(parse(text), Path("/project"))}


def resolved(yaml: str) -> Any:
    template = parse(TEMPLATE)
    return Resolver(template).resolve(parse(f"value: {yaml}"))["value"]


def test_a_function_has_its_own_settings_over_the_global_ones() -> None:
    things = functions()["things"]

    assert Path("/project/functions/things") == things.folder
    assert (things.timeout_seconds, things.memory_mb, things.log_format) == (3, 128, "JSON")
    assert functions()["alone"].timeout_seconds == 10


def test_environment_variables_are_merged_and_resolved() -> None:
    expected = {
        "STAGE": "dev",
        "HOST": "",
        "NAME": "dev-Api-Own-${Literal}",
        "SECRET": "Secret.Arn",
    }

    assert expected == functions()["things"].environment


def test_a_function_that_ignores_globals_has_none_of_them() -> None:
    assert functions()["alone"].environment == {}


def test_a_function_whose_condition_does_not_hold_is_not_made() -> None:
    assert {"things", "alone"} == functions().keys()


def test_a_value_that_is_no_value_is_absent() -> None:
    assert functions()["things"].reserved_concurrency is None


def test_routes_and_schedules_are_read() -> None:
    things = functions()["things"]

    assert [route.key for route in things.routes] == ["GET /things/{id}", "ANY /things"]
    assert [schedule.every_seconds for schedule in things.schedules] == [300]


def test_a_schedule_that_is_no_rate_is_refused_by_name() -> None:
    with pytest.raises(CannotRun, match=r"Things: only rate\(…\) runs here, not cron"):
        functions(TEMPLATE.replace("rate(5 minutes)", "'cron(0 * * * ? *)'"))


@pytest.mark.parametrize(
    ("yaml", "expected"),
    [
        ("!If [IsProduction, yes-it-is, !Ref Stage]", "dev"),
        ("!If [IsOther, other, '']", "other"),
        ("!Join ['-', [a, !Ref Stage]]", "a-dev"),
        ("!Join ['-', !Ref Zones]", "a-b"),
        ("!Split [',', !Sub 'a,${Stage}']", ["a", "dev"]),
        ("!Sub ['${Stage} ${It}', {It: !Ref Stage}]", "dev dev"),
        ("[a, !Ref AWS::NoValue]", ["a"]),
        ("{a: !Ref AWS::NoValue, b: 1}", {"b": 1}),
    ],
)
def test_intrinsics(yaml: str, expected: object) -> None:
    assert expected == resolved(yaml)


LOOPS = """
Transform: [AWS::LanguageExtensions, AWS::Serverless-2016-10-31]
Resources:
  Fn::ForEach::Twins:
    - Name
    - [Left, Right]
    - ${Name}Function:
        Type: AWS::Serverless::Function
        Properties:
          Handler: app.handler
          Runtime: python3.13
          CodeUri: !Sub functions/${Name}
          Environment:
            Variables:
              OWN: !Ref Name
              MIXED: !Sub "${Name} of ${AWS::StackName}"
              SUBBED: !Sub ["${Name} ${Of}", {Of: !Ref Name}]
              ROLE: !GetAtt [!Sub "${Name}Role", Arn]
              LOGS: !Ref {Fn::Sub: "${Name}Logs"}
              PLAIN: ${Name}
  After:
    Type: AWS::Serverless::Function
    Properties: {Handler: app.handler, Runtime: python3.13, CodeUri: functions/after}
"""


def test_loops_are_written_out_as_cloudformation_does() -> None:
    """The item comes into Ref, Fn::Sub and keys; a plain text stays as it is."""
    found = functions(LOOPS)

    assert ["Left", "Right", "after"] == list(found)
    assert ["AWS::Serverless-2016-10-31"] == parse(LOOPS)["Transform"]
    assert {
        "OWN": "Right",
        "MIXED": "Right of permit",
        "SUBBED": "Right Right",
        "ROLE": "RightRole.Arn",
        "LOGS": "RightLogs",
        "PLAIN": "${Name}",
    } == found["Right"].environment


def test_a_loop_over_anything_but_a_list_is_refused_by_name() -> None:
    with pytest.raises(CannotRun, match="Fn::ForEach::Twins: only a list"):
        functions(LOOPS.replace("[Left, Right]", "!Ref Names"))


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/things/1", ("GET /things/{id}", {"id": "1"})),
        ("GET", "/things/a%2Fb%20c", ("GET /things/{id}", {"id": "a/b c"})),
        ("POST", "/things", ("ANY /things", {})),
        ("POST", "/things/1", None),
        ("GET", "/things/", None),
        ("GET", "/things/1/more", None),
        ("GET", "/Things", None),
    ],
)
def test_a_request_finds_its_route(method: str, path: str, expected: object) -> None:
    match = Routes(functions().values()).find(method, path)

    assert expected == (match and (match.route.key, match.parameters))


def test_the_more_specific_route_wins() -> None:
    paths = ("$default", "/{proxy+}", "/{id}", "/fixed")
    events = ", ".join(
        f"E{number}: {{Type: HttpApi, Properties: {{Path: '{path}'}}}}"
        for number, path in enumerate(paths)
    )
    text = TEMPLATE.replace(
        "{CodeUri: functions/alone}", f"{{CodeUri: a, Events: {{{events}}}}}", 1
    )
    routes = Routes([functions(text)["a"]])

    found = [routes.find("GET", path) for path in ("/fixed", "/other", "/two/parts", "/")]

    assert [match.route.path for match in found if match] == [
        "/fixed",
        "/{id}",
        "/{proxy+}",
        "$default",
    ]


def test_a_route_takes_its_burst_and_then_its_rate() -> None:
    now = [100.0]
    limit = Limit(rate=2, burst=3)
    throttle = Throttle(default=limit, clock=lambda: now[0])

    at_once = [throttle.admits("GET /") for _ in range(4)]
    now[0] += 0.5
    after_half_a_second = [throttle.admits("GET /") for _ in range(2)]

    assert at_once == [True, True, True, False]
    assert after_half_a_second == [True, False]
    assert throttle.admits("GET /another")


def test_rates_are_read_from_the_api() -> None:
    throttle = read_throttle(parse(TEMPLATE))

    assert Limit(rate=50, burst=100) == throttle.default
    assert {"GET /things/{id}": Limit(rate=2, burst=2)} == throttle.routes


def test_the_projects_own_template_is_understood() -> None:
    template = parse((ROOT / "template.yaml").read_text())

    found = {each.name: each for each in read_functions(template, ROOT)}

    assert {path.parent.name for path in ROOT.glob("functions/*/app.py")} == found.keys()
    assert all((each.folder / "app.py").is_file() for each in found.values())
    assert found["login"].environment["PERMIT_DATABASE_USER"] == "permit_login"
    assert "PERMIT_DATABASE_USER" not in found["probe"].environment
