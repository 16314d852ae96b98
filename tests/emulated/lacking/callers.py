"""Who calls: the sessions of functions, jobs with a token of GitHub's, and by which way."""

import json
import os
from pathlib import Path
from typing import Any

from ministack import app
from ministack.services import sts

from lacking.handlers import HANDLERS, Made, nothing


def add_sessions_told() -> None:
    """Writes down the credentials of each running function, for the doubles that check them."""
    register = sts.register_session
    told = Path(os.environ["EMULATED_SESSIONS"])

    def register_and_tell(access_key: str, session: dict[str, Any]) -> None:
        register(access_key, session)
        with told.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps({"AccessKeyId": access_key, **session}) + "\n")

    sts.register_session = register_and_tell


def add_loopback_as_tls() -> None:
    """SAM's bucket refuses what does not come by TLS, which loopback does without."""
    pin = app.pin_request_origin

    def pin_as_tls(source_ip: str, secure_transport: bool) -> None:
        pin(source_ip, True)

    app.pin_request_origin = pin_as_tls


def add_identity_provider() -> None:
    """Roles may trust one; its tokens are believed unsigned here."""
    HANDLERS["AWS::IAM::OIDCProvider"] = {"create": identity_provider, "delete": nothing}


def identity_provider(logical_id: str, properties: dict[str, Any], stack: str) -> Made:
    """Its Ref is its ARN, by which roles trust it."""
    account, host = os.environ["MINISTACK_ACCOUNT_ID"], properties["Url"].removeprefix("https://")
    arn = f"arn:aws:iam::{account}:oidc-provider/{host}"
    return arn, {"Arn": arn}
