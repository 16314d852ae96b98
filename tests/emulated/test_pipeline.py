"""The roles of stacks/pipeline.yaml: a job of the environment deploys, and does nothing else."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from tests.emulated.aws import Session
from tests.emulated.stack import Stack
from tests.support.sam_template import ROOT

SUBJECT = "repo:example/licences:environment:production"


@pytest.fixture(scope="module")
def roles(stack: Stack) -> Iterator[dict[str, str]]:
    """The outputs of the pipeline's own stack."""
    cloudformation = stack.aws.client("cloudformation")
    name = f"{stack.name}-pipeline"
    uploads = cloudformation.describe_stack_resource(
        StackName="aws-sam-cli-managed-default", LogicalResourceId="SamCliSourceBucket"
    )
    given = {
        "StackName": stack.name,
        "Repository": "example/licences",
        "Environment": "production",
        "Bucket": uploads["StackResourceDetail"]["PhysicalResourceId"],
    }
    cloudformation.create_stack(
        StackName=name,
        TemplateBody=(ROOT / "stacks" / "pipeline.yaml").read_text(encoding="utf-8"),
        Capabilities=["CAPABILITY_IAM"],
        Parameters=[{"ParameterKey": k, "ParameterValue": v} for k, v in given.items()],
    )
    cloudformation.get_waiter("stack_create_complete").wait(
        StackName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60}
    )
    [made] = cloudformation.describe_stacks(StackName=name)["Stacks"]
    yield {each["OutputKey"]: each["OutputValue"] for each in made["Outputs"]}
    cloudformation.delete_stack(StackName=name)
    cloudformation.get_waiter("stack_delete_complete").wait(
        StackName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60}
    )


def sign_in(stack: Stack, role: str, subject: str) -> Session:
    """As a job of GitHub's does; the emulator believes an unsigned token."""
    claims = {
        "iss": "https://token.actions.githubusercontent.com",
        "aud": "sts.amazonaws.com",
        "sub": subject,
    }
    parts = [
        base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")
        for part in ({"alg": "none"}, claims)
    ]
    answer = stack.aws.client("sts").assume_role_with_web_identity(
        RoleArn=role, RoleSessionName="job", WebIdentityToken=".".join([*parts, "x"])
    )
    return answer["Credentials"]


@pytest.fixture(scope="module")
def job(stack: Stack, roles: dict[str, str]) -> Session:
    return sign_in(stack, roles["PipelineRole"], SUBJECT)


@pytest.mark.parametrize(
    "subject",
    [
        pytest.param("repo:example/licences:environment:stage", id="another environment"),
        pytest.param("repo:example/licences:ref:refs/heads/main", id="no environment"),
        pytest.param("repo:somebody/licences:environment:production", id="another repository"),
    ],
)
def test_other_jobs_are_not_let_in(stack: Stack, roles: dict[str, str], subject: str) -> None:
    """A fork, a branch, a job that nobody has approved."""
    with pytest.raises(ClientError, match="AccessDenied"):
        sign_in(stack, roles["PipelineRole"], subject)


def test_job_deploys(stack: Stack, built: Path, roles: dict[str, str], job: Session) -> None:
    """With the credentials of the role alone."""
    before = stack.given()["RateLimit"]

    stack.deploy(built, "--role-arn", roles["ExecutionRole"], session=job, RateLimit="321")

    assert "321" == stack.given()["RateLimit"]
    stack.deploy(built, RateLimit=before)


def test_job_reads_no_key_and_touches_no_other_stack(stack: Stack, job: Session) -> None:
    """Neither the stack's secrets, nor its functions, nor a stack beside it."""
    aws = stack.aws
    refused = [
        lambda: aws.client("secretsmanager", job).get_secret_value(
            SecretId=stack.outputs["TokenKeys"]
        ),
        lambda: aws.client("lambda", job).invoke(FunctionName=stack.outputs["OperatorFunction"]),
        lambda: aws.client("cloudformation", job).delete_stack(StackName=stack.name),
        lambda: aws.client("cloudformation", job).describe_stack_events(StackName="billing"),
        lambda: aws.client("iam", job).list_roles(),
    ]

    for call in refused:
        with pytest.raises(ClientError, match=r"AccessDenied|not authorized"):
            call()
