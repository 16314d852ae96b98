"""Asks the public health route every minute from outside the VPC; makes the alarm's metric."""

import json
import time
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import TypedDict
from urllib.parse import urlsplit

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from permit.settings import ProbeSettings

TIMEOUT_SECONDS = 5.0
LONGEST_BODY = 16_384

settings = ProbeSettings.from_environment()
logger = Logger()
metrics = Metrics(namespace="Permit")


class Finding(TypedDict):
    """What one probe found: `reason` is `ok`, or a code for what is wrong."""

    healthy: bool
    reason: str
    latency_ms: int


@metrics.log_metrics
def handler(event: dict[str, object], context: LambdaContext) -> Finding:
    started = time.monotonic()
    reason = ask(settings.health_url, deadline=started + TIMEOUT_SECONDS)
    latency_ms = round((time.monotonic() - started) * 1000)
    finding = Finding(healthy=reason == "ok", reason=reason, latency_ms=latency_ms)
    metrics.add_metric("Health", MetricUnit.Count, int(finding["healthy"]))
    metrics.add_metric("HealthLatency", MetricUnit.Milliseconds, latency_ms)
    logger.info("probed", extra=dict(finding))
    return finding


def ask(url: str, *, deadline: float) -> str:
    """The reason. The health route has no redirects: one is a failure and is not followed."""
    address = urlsplit(url)
    scheme = HTTPSConnection if address.scheme == "https" else HTTPConnection
    connection = scheme(address.netloc, timeout=TIMEOUT_SECONDS)
    try:
        connection.request("GET", address.path, headers={"accept": "application/json"})
        answer = connection.getresponse()
        if answer.status != 200:
            return f"status_{answer.status}"
        return judge(read(answer, deadline=deadline))
    except TimeoutError:
        return "timeout"
    except ConnectionRefusedError:
        return "refused"
    except (OSError, HTTPException):
        return "unreachable"
    finally:
        connection.close()


def read(answer: HTTPResponse, *, deadline: float) -> bytes:
    """The needed part of the body; the socket's own timeout would start anew with every byte."""
    body = b""
    while len(body) <= LONGEST_BODY and (part := answer.read1(LONGEST_BODY)):
        if time.monotonic() > deadline:
            raise TimeoutError
        body += part
    return body


def judge(body: bytes) -> str:
    """`ok` only for the health route's own words: a 200 may come from anything in between."""
    if len(body) > LONGEST_BODY:
        return "body_too_long"
    try:
        answer: object = json.loads(body)
    except ValueError:
        return "body_not_json"
    match answer:
        case {"status": "ok"}:
            return "ok"
        case _:
            return "status_not_ok"
