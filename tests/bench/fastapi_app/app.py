"""The check as a FastAPI service under Mangum: the same SQL door, guards, proof and log line.

For a device that has a seat, which is what is measured: what a new device needs is left out. It
shares with Permit what is not about the framework: the query, the guards, the key's reading, the
unsealing.
"""

import hashlib
import json
import logging
import os
import time
from typing import Annotated, Any

from facts import find_facts
from fastapi import Depends, FastAPI, Request
from mangum import Mangum
from models import CheckAnswer, CheckRequest, DeviceAnswer, LicenceAnswer
from proof import prove
from psycopg import Connection
from psycopg_pool import ConnectionPool
from pydantic import BaseModel, Field

from permit.check.check import CheckOutcome
from permit.check.facts import DeviceSent, LicenceFacts
from permit.check.proofs import next_check_at
from permit.check.verdicts import Question, judge
from permit.security import licence_keys

logging.basicConfig(level=logging.INFO, format="%(message)s", force=True)
logger = logging.getLogger("bench")


class Settings(BaseModel):
    host: str = Field(alias="PERMIT_DATABASE_HOST")
    port: int = Field(alias="PERMIT_DATABASE_PORT")
    dbname: str = Field(alias="PERMIT_DATABASE_NAME")
    user: str = Field(alias="PERMIT_DATABASE_USER")
    password: str = Field(alias="PERMIT_DATABASE_PASSWORD")
    master_keys: str = Field(alias="PERMIT_MASTER_KEYS")


settings = Settings.model_validate(dict(os.environ))
pool = ConnectionPool(
    min_size=1,
    max_size=1,
    open=True,
    kwargs={
        **settings.model_dump(exclude={"master_keys"}),
        # As behind RDS Proxy, where named statements and SET would pin the session.
        "autocommit": True,
        "prepare_threshold": None,
    },
)
app = FastAPI()


def connection() -> Any:
    with pool.connection() as borrowed:
        yield borrowed


@app.post("/v1/licences/check")
def check(
    body: CheckRequest, request: Request, database: Annotated[Connection, Depends(connection)]
) -> CheckAnswer:
    started = time.perf_counter()
    canonical = licence_keys.canonical(body.key)
    if canonical is None or body.device is None:
        raise NotImplementedError("the comparison is about a known device")
    device = DeviceSent(
        fingerprint_hash=hashlib.sha256(body.device.fingerprint.encode()).digest(),
        name=body.device.name,
        platform=body.device.platform,
        version=body.version,
    )
    facts = find_facts(database, licence_keys.digest(canonical), device)
    question = Question(
        product=body.product,
        entitlements=frozenset(body.entitlements),
        version_date=body.version_date,
        has_device=True,
    )
    verdict = judge(facts, question)
    outcome = CheckOutcome(verdict=verdict, checked_at=facts.checked_at, facts=facts)
    next_at = next_check_at(outcome)
    proof = prove(
        facts,
        verdict,
        master_keys=settings.master_keys,
        issuer=f"https://{request.url.hostname}",
        audience=body.product or facts.product,
        fingerprint_hash=device.fingerprint_hash,
        version_date=body.version_date,
        next_at=next_at,
        nonce=body.nonce,
    )
    _log(request, verdict.code, time.perf_counter() - started)
    return CheckAnswer(
        valid=verdict.valid,
        code=verdict.code,
        detail=verdict.detail,
        checked_at=facts.checked_at,
        next_check_at=next_at,
        nonce=body.nonce,
        licence=_licence_answer(facts),
        device=_device_answer(facts),
        proof=proof,
    )


def _licence_answer(facts: LicenceFacts) -> LicenceAnswer:
    return LicenceAnswer(
        id=facts.licence_id,
        product=facts.product,
        policy=facts.policy,
        status=facts.status,
        expires_at=facts.expires_at,
        entitlements=facts.entitlements,
        max_devices=facts.max_devices,
        devices_used=facts.devices_used,
        metadata=facts.metadata,
    )


def _device_answer(facts: LicenceFacts) -> DeviceAnswer:
    return DeviceAnswer(
        id=facts.device_id,
        state=facts.device_state,
        first_seen_at=facts.first_seen_at,
        last_seen_at=facts.last_seen_at,
    )


def _log(request: Request, code: str, seconds: float) -> None:
    fields = {
        "message": "request",
        "request_id": request.scope["aws.event"]["requestContext"]["requestId"],
        "route": request.url.path,
        "method": request.method,
        "code": code,
        "milliseconds": round(seconds * 1000, 1),
    }
    logger.info(json.dumps(fields))


handler = Mangum(app, lifespan="off")
