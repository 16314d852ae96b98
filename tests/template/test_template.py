"""template.yaml fits the folders: a function, its routes, its events and its tests go together."""

import ast
import hashlib
import json
import re
from pathlib import Path

import pytest

from tests.support.sam_template import (
    ROOT,
    events,
    functions,
    of_type,
    routes,
    source,
    transformed,
    written,
)

FOLDERS = sorted(path.parent.name for path in (ROOT / "functions").glob("*/app.py"))


def test_every_function_folder_has_a_block_in_the_template() -> None:
    """functions/ and the template have the same functions."""
    assert sorted(functions()) == FOLDERS


@pytest.mark.parametrize("name", FOLDERS)
def test_function_folder_holds_app_py_alone(name: str) -> None:
    """A sibling module would be imported one way in Lambda and another in tests."""
    found = {path.name for path in (ROOT / "functions" / name).iterdir()}

    assert {"app.py"} == found - {"__pycache__"}


@pytest.mark.parametrize("name", FOLDERS)
def test_function_has_the_handler_that_the_template_names(name: str) -> None:
    """app.py says what it is for, and defines handler(event, context)."""
    module = ast.parse((ROOT / "functions" / name / "app.py").read_text(encoding="utf-8"))
    handlers = [
        [argument.arg for argument in node.args.args]
        for node in module.body
        if isinstance(node, ast.FunctionDef) and node.name == "handler"
    ]

    assert "app.handler" == written()["Globals"]["Function"]["Handler"]
    assert ast.get_docstring(module)
    assert [["event", "context"]] == handlers


@pytest.mark.parametrize("name", FOLDERS)
def test_function_has_an_event_and_a_test(name: str) -> None:
    """A function that nobody can invoke, or that nobody tests, is not done."""
    served = {key for key, function in routes().items() if function == name}
    own = [
        event
        for event, content in events().items()
        if content.get("routeKey") in served or event.startswith(name)
    ]
    subjects = (name, name.rsplit("_", maxsplit=1)[-1])
    tests = [path for each in subjects for path in (ROOT / "tests").glob(f"*/test_{each}*.py")]

    assert own
    assert tests


def test_every_route_takes_any_method() -> None:
    """The function itself answers 405, in the one shape of errors."""
    assert routes()
    assert {"ANY"} == {key.split()[0] for key in routes()}


def test_every_route_has_an_event_and_every_http_event_a_route() -> None:
    """events/ covers the API, and nothing that the API does not have."""
    invoked = {event["routeKey"] for event in events().values() if "routeKey" in event}

    assert set(routes()) == invoked


def test_functions_of_the_database_are_in_the_network_and_the_others_are_not() -> None:
    """The probe has to come from outside, the rotation needs AWS's endpoints, a page nothing."""
    outside = {
        name
        for name, function in of_type("AWS::Lambda::Function").items()
        if "VpcConfig" not in function
    }

    assert {"ProbeFunction", "ReferenceFunction", "TokenRotationFunction"} == outside


def test_functions_reach_the_proxy_and_migrate_the_database_behind_it() -> None:
    """Each is in the one security group that has this way."""
    groups = {
        name: function["VpcConfig"]["SecurityGroupIds"]
        for name, function in of_type("AWS::Lambda::Function").items()
        if "VpcConfig" in function
    }

    migrate = groups.pop("MigrateFunction")
    assert [{"Fn::GetAtt": ["Network", "Outputs.MigrateSecurityGroupId"]}] == migrate
    own = [{"Fn::GetAtt": ["Network", "Outputs.FunctionSecurityGroupId"]}]
    assert all(own == each for each in groups.values())


def test_each_function_gets_its_own_variables_only() -> None:
    """A function that is taken over gives away what it was given and no more."""
    made = of_type("AWS::Lambda::Function", PublicUrl="https://permit.example.com")
    variables = {name: each["Environment"]["Variables"] for name, each in made.items()}
    of_database = {name for name, function in made.items() if "VpcConfig" in function}
    vendors = {
        name
        for name, own in variables.items()
        if own.get("PERMIT_DATABASE_USER") == "permit_vendor"
    }
    expected = {
        **dict.fromkeys(
            (
                *("PERMIT_DATABASE_HOST", "PERMIT_DATABASE_PORT", "PERMIT_DATABASE_NAME"),
                "PERMIT_DATABASE_CA",
            ),
            of_database,
        ),
        "PERMIT_DATABASE_USER": of_database - {"MigrateFunction"},
        "PERMIT_TOKEN_JWKS": vendors
        | {"JwksFunction", "OperatorFunction", "TokenRotationFunction"},
        "PERMIT_PUBLIC_URL": vendors | {"LoginFunction", "LicenceCheckFunction"},
        # The functions that have a secret are named here.
        "PERMIT_MASTER_KEYS": {
            *("LoginFunction", "LicenceCheckFunction", "TeamFunction", "OperatorFunction")
        },
        "PERMIT_TOKEN_KEYS": {"LoginFunction", "OperatorFunction", "TokenRotationFunction"},
        "PERMIT_THROTTLE_KEY": {"LoginFunction", "TeamFunction"},
        "PERMIT_ANSWER_KEYS": {"ProductsFunction", "LicencesFunction", "TeamFunction"},
        "PERMIT_OWNER_CREDENTIALS": {"MigrateFunction"},
        "PERMIT_HEALTH_URL": {"ProbeFunction"},
    }

    given: dict[str, set[str]] = {}
    for name, own in variables.items():
        for variable, value in own.items():
            # Empty means none: sam local needs the name.
            if variable.startswith("PERMIT_") and value:
                given.setdefault(variable, set()).add(name)

    assert expected == given
    assert {"ProductsFunction", "LicencesFunction", "TeamFunction"} <= vendors


def test_origin_secret_is_given_to_the_functions_with_a_route() -> None:
    """With the lock on, each refuses requests that did not come through CloudFront."""
    locked = of_type("AWS::Lambda::Function", OriginLock="true")
    given = {
        name
        for name, function in locked.items()
        if function["Environment"]["Variables"].get("PERMIT_ORIGIN_SECRET")
    }

    assert {
        alias["FunctionName"]["Ref"] for alias in of_type("AWS::Lambda::Alias").values()
    } == given


@pytest.mark.parametrize(
    ("proxy", "expected"), [("true", "amazon-roots.pem"), ("false", "rds-global.pem")]
)
def test_functions_trust_who_certifies_what_they_connect_to(proxy: str, expected: str) -> None:
    """Amazon for the proxy and RDS for the database itself; both bundles are in the layer."""
    bundles = {
        name: function["Environment"]["Variables"]["PERMIT_DATABASE_CA"]
        for name, function in of_type("AWS::Lambda::Function", Proxy=proxy).items()
        if "VpcConfig" in function
    }

    assert "rds-global.pem" == Path(bundles.pop("MigrateFunction")).name
    assert {expected} == {Path(bundle).name for bundle in bundles.values()}
    for bundle in bundles.values():
        assert bundle.startswith("/opt/python/permit/")
        assert (ROOT / "shared" / bundle.removeprefix("/opt/python/")).is_file()


def test_routes_reach_an_alias_and_schedules_the_function() -> None:
    """Only what callers wait for is published behind an alias."""
    aliased = {alias["FunctionName"]["Ref"] for alias in of_type("AWS::Lambda::Alias").values()}
    routed = {re.sub(r"(?:^|_)(\w)", lambda m: m[1].upper(), name) for name in routes().values()}

    assert {f"{name}Function" for name in routed} == aliased


@pytest.mark.parametrize(
    "layer",
    [pytest.param("layers/dependencies", id="dependencies"), pytest.param("shared", id="own")],
)
def test_a_changed_file_of_a_layer_makes_a_new_version_of_every_route_function(layer: str) -> None:
    """Otherwise a change only in a layer would be deployed and reach nobody."""
    uploads = [f"s3://uploads/{hashlib.sha256(each).hexdigest()}" for each in (b"before", b"after")]

    before, after = (
        {
            name
            for name, resource in transformed(
                source().replace(f"ContentUri: {layer}\n", f"ContentUri: {upload}\n")
            ).items()
            if resource["Type"] == "AWS::Lambda::Version"
        }
        for upload in uploads
    )

    assert len(before) == len(after) == len(of_type("AWS::Lambda::Alias"))
    assert not before & after


def test_schedules_are_those_of_the_sweep_and_the_probe() -> None:
    """A late run is not repeated: the next one comes soon."""
    schedules = {
        name: (schedule["ScheduleExpression"], schedule["Target"]["RetryPolicy"])
        for name, schedule in of_type("AWS::Scheduler::Schedule").items()
    }
    once = {"MaximumEventAgeInSeconds": 60, "MaximumRetryAttempts": 0}

    assert {
        "ProbeFunctionSchedule": ("rate(1 minute)", once),
        "SweepFunctionSchedule": ("rate(5 minutes)", once),
    } == schedules


def test_access_log_is_json_and_holds_no_secret() -> None:
    """Keys, tokens and passwords travel in headers, bodies and query strings: none is logged."""
    [stage] = of_type("AWS::ApiGatewayV2::Stage").values()
    fields = json.loads(stage["AccessLogSettings"]["Format"])

    assert {"requestId", "routeKey", "status", "integrationLatency"} <= set(fields)
    assert not re.search(
        r"header|querystring|body|authorizer|path", " ".join(fields.values()), re.IGNORECASE
    )


def test_routes_are_throttled() -> None:
    """One wide limit, the same for every route: a bucket is all callers', so junk stops nobody."""
    [stage] = of_type("AWS::ApiGatewayV2::Stage").values()
    assert {"Ref": "RateLimit"} == stage["DefaultRouteSettings"]["ThrottlingRateLimit"]
    assert written()["Parameters"]["RateLimit"]["Default"] >= 500
    assert not stage.get("RouteSettings")
