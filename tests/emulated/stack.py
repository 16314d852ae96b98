"""A stack of Permit in the emulated account: deployed by `sam deploy`, called, and looked at."""

import http.client
import json
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from tests.emulated.aws import ROOT_USER, Aws, Session
from tests.support.sam_template import ROOT

# A cold start, on a machine that does other things too.
HEALTH_SECONDS = 60
SAM = ROOT / ".venv-sam" / "bin" / "sam"


class DeploymentFailed(Exception):
    """`sam deploy` refused, or CloudFormation rolled back; the message is what sam printed."""


class Answer(NamedTuple):
    status: int
    body: Any


@dataclass(kw_only=True)
class Stack:
    aws: Aws
    name: str = "permit"

    def deploy(
        self,
        build: Path,
        *options: str,
        session: Session = ROOT_USER,
        **changed: str,
    ) -> None:
        """Deploys a build; a parameter that is not given stays. Raises DeploymentFailed."""
        given = [f'{name}="{value}"' for name, value in changed.items()]
        command = [
            *(SAM, "deploy", "--template-file", build / "template.yaml"),
            *("--config-file", build / "samconfig.toml", "--config-env", "dev"),
            *("--stack-name", self.name, "--no-fail-on-empty-changeset"),
            *(("--parameter-overrides", *given) if given else ()),
            *options,
        ]
        run = subprocess.run(
            command,
            cwd=self.aws.folder,
            env=self.aws.environ(session),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            text=True,
        )
        if run.returncode != 0:
            raise DeploymentFailed(run.stdout)

    def delete(self) -> None:
        cloudformation = self.aws.client("cloudformation")
        cloudformation.delete_stack(StackName=self.name)
        cloudformation.get_waiter("stack_delete_complete").wait(
            StackName=self.name, WaiterConfig={"Delay": 1, "MaxAttempts": 120}
        )

    @property
    def status(self) -> str:
        return self._described()["StackStatus"]

    @property
    def outputs(self) -> dict[str, str]:
        return {each["OutputKey"]: each["OutputValue"] for each in self._described()["Outputs"]}

    def given(self) -> dict[str, str]:
        """Its parameters."""
        return {
            each["ParameterKey"]: each["ParameterValue"] for each in self._described()["Parameters"]
        }

    def _described(self) -> dict[str, Any]:
        cloudformation = self.aws.client("cloudformation")
        [stack] = cloudformation.describe_stacks(StackName=self.name)["Stacks"]
        return stack

    def failures(self) -> dict[str, str]:
        """Why resources failed, by their names."""
        cloudformation = self.aws.client("cloudformation")
        events = cloudformation.describe_stack_events(StackName=self.name)["StackEvents"]
        return {
            event["LogicalResourceId"]: event.get("ResourceStatusReason", "")
            for event in events
            if event["ResourceStatus"].endswith("_FAILED")
        }

    # --------------------------------------------------------------------------- what it answers

    def call(
        self, method: str, path: str, body: object = None, token: str | None = None, **headers: str
    ) -> Answer:
        """A request to the API, as from the internet."""
        host = self.aws.endpoint.removeprefix("http://")
        connection = http.client.HTTPConnection(host, timeout=60)
        sent = {"content-type": "application/json", **headers}
        if token is not None:
            sent["authorization"] = f"Bearer {token}"
        text = None if body is None else json.dumps(body)
        connection.request(method, f"/_aws/execute-api/{self._api_id()}/$default{path}", text, sent)
        response = connection.getresponse()
        answered = response.read()
        connection.close()
        is_json = "json" in (response.getheader("content-type") or "")
        return Answer(response.status, json.loads(answered) if is_json else answered.decode())

    def _api_id(self) -> str:
        apis = self.aws.client("apigatewayv2").get_apis()["Items"]
        [api] = [each for each in apis if each["Name"] == self.name]
        return api["ApiId"]

    def await_health(self) -> dict[str, Any]:
        """What the health route says once it is well."""
        deadline = time.monotonic() + HEALTH_SECONDS
        while True:
            answer = self.call("GET", "/v1/health")
            if answer.status == 200:
                return answer.body
            assert time.monotonic() < deadline, answer.body
            time.sleep(1)

    def invoke(self, function: str, event: object, qualifier: str = "$LATEST") -> Any:
        answer = self.aws.client("lambda").invoke(
            FunctionName=f"{self.name}-{function}",
            Payload=json.dumps(event).encode(),
            Qualifier=qualifier,
        )
        payload = json.loads(answer["Payload"].read() or b"null")
        assert "FunctionError" not in answer, payload
        return payload

    def operator(self, command: str, **arguments: object) -> dict[str, Any]:
        """Runs an operator command that must succeed."""
        answer = self.invoke("operator", {"command": command, "arguments": arguments})
        assert answer["ok"], answer
        return answer["result"]

    # ----------------------------------------------------------------------------- what it is of

    def functions(self) -> list[str]:
        """Their names, without the stack's."""
        listed = self.aws.client("lambda").list_functions()["Functions"]
        names = [each["FunctionName"] for each in listed]
        return [name.removeprefix(f"{self.name}-") for name in names]

    def resources(self) -> dict[str, str]:
        """Physical ids by their names in the template."""
        client = self.aws.client("cloudformation")
        pages = client.get_paginator("list_stack_resources").paginate(StackName=self.name)
        return {
            each["LogicalResourceId"]: each["PhysicalResourceId"]
            for page in pages
            for each in page["StackResourceSummaries"]
        }

    def variables(self, function: str) -> dict[str, str]:
        """What a function is told by its environment."""
        name = f"{self.name}-{function}"
        configuration = self.aws.client("lambda").get_function_configuration(FunctionName=name)
        return configuration["Environment"]["Variables"]

    def live_versions(self) -> dict[str, str]:
        """The version behind the alias of each function that has one."""
        client = self.aws.client("lambda")
        return {
            name: alias["FunctionVersion"]
            for name in self.functions()
            for alias in client.list_aliases(FunctionName=f"{self.name}-{name}")["Aliases"]
        }

    def session(self, function: str) -> dict[str, Any]:
        """The credentials with which a function has run last."""
        end = f"/{self.name}-{function}"
        lines = self.aws.sessions.read_text(encoding="utf-8").splitlines()
        *_, last = (each for each in map(json.loads, lines) if each["Arn"].endswith(end))
        return last
