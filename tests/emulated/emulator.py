"""AWS on this machine: ministack, and what the stack needs that ministack lacks.

Runs under .venv-emulate. The built template is deployed as it is; so each type of resource that
ministack does not know is made by what is in lacking/. NOT_EMULATED are made in name only:
docs/deploy.md lists them beside what only an account can prove.
"""

from lacking import callers, databases, http_api, secrets_and_parameters, stacks
from lacking.handlers import HANDLERS, in_name_only, nothing
from ministack import app

NOT_EMULATED = (
    "AWS::CloudWatch::CompositeAlarm",
    "AWS::CodeDeploy::Application",
    "AWS::CodeDeploy::DeploymentGroup",
    "AWS::EC2::FlowLog",
    "AWS::EC2::SecurityGroupEgress",
    "AWS::EC2::SecurityGroupIngress",
    "AWS::Logs::QueryDefinition",
    "AWS::RDS::DBProxyTargetGroup",
)


def main() -> None:
    """Serves until it is told to end; its settings are ministack's environment variables."""
    for kind in NOT_EMULATED:
        HANDLERS[kind] = {"create": in_name_only, "delete": nothing}
    secrets_and_parameters.add_secrets()
    databases.add_databases()
    http_api.add_routes_of_a_body()
    stacks.add_metric_math()
    stacks.add_policies_of_nested_stacks()
    stacks.add_attributes_of_nested_stacks()
    callers.add_sessions_told()
    callers.add_loopback_as_tls()
    callers.add_identity_provider()
    app.main()


if __name__ == "__main__":
    main()
