"""The edge of the vendor's side: who asks, what they may do, one transaction in their tenant."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from types import UnionType
from typing import Any, NamedTuple
from uuid import UUID

from permit.contracts import Answer, Contract, Query, validate
from permit.db import Database
from permit.edge import idempotency
from permit.edge.api import Api, answer, sendable
from permit.edge.idempotency import SentRequest
from permit.edge.payload import Response
from permit.edge.refusals import NotAuthenticated, NotPermitted
from permit.errors import NotFound, Refusal
from permit.people.callers import WITHOUT_SECOND_FACTOR, Caller, is_allowed, roles_for
from permit.people.queries import callers
from permit.people.refusals import SecondFactorMissing
from permit.security import access_tokens, api_keys
from permit.security.access_tokens import AccessClaims, ExpiredToken, InvalidToken, UnknownKid
from permit.security.answer_seals import parse_answer_keys, seals_of
from permit.security.jwk import JwkSet, parse_jwk_set
from permit.settings import VendorSettings

Reply = Answer | Response | None


class Operation(NamedTuple):
    """One method of one path, as the API's description tells it."""

    method: str
    path: str
    action: str | None
    """An action of permit.roles; None where no token is needed."""
    request: type[Contract] | None
    query: type[Query] | None
    answer: type[Answer] | UnionType | None
    """A union where what is answered depends on what was sent."""
    status: int
    creates: bool
    """Takes an Idempotency-Key."""
    refuses: tuple[type[Refusal], ...]
    """What it refuses beyond what every operation does."""
    run: Callable[..., Any]
    needs_fresh_proof: bool = False
    """Of the user that it is they: no API key passes, and no token alone."""


class VendorApi(Api):
    """Routes for callers with an access token or an API key."""

    def __init__(self, database: Database, settings: VendorSettings) -> None:
        super().__init__(database, settings.origin_secret)
        self._tenants = database
        self._token_jwks = settings.token_jwks
        self._answer_keys = settings.answer_keys
        self._public_url = settings.public_url
        self.operations: list[Operation] = []

    def operation(
        self,
        method: str,
        path: str,
        action: str | None,
        *,
        request: type[Contract] | None = None,
        query: type[Query] | None = None,
        answer: type[Answer] | UnionType | None = None,
        status: int | None = None,
        creates: bool = False,
        refuses: tuple[type[Refusal], ...] = (),
        needs_fresh_proof: bool = False,
    ) -> Callable[[Callable[..., Reply]], Callable[..., Reply]]:
        """Registers `run(caller, request or query, **ids of the path)`.

        The returned value is the body, None becomes 204, and a Response is sent as it is. An
        operation without an action gets no caller and no transaction.
        """

        def register(run: Callable[..., Reply]) -> Callable[..., Reply]:
            usual = 204 if answer is None else 201 if creates else 200
            operation = Operation(
                method,
                path,
                action,
                request,
                query,
                answer,
                status or usual,
                creates,
                refuses,
                run,
                needs_fresh_proof,
            )
            self.operations.append(operation)

            self.route(method, path, takes_query=True)(partial(self._serve, operation))
            return run

        return register

    def request_facts(self, action: str, *, reason: str | None = None) -> dict[str, Any]:
        """What the audit log keeps of this request."""
        return {
            "action": action,
            "reason": reason,
            "request_id": self.request.id,
            "address": self.caller_address(),
        }

    def _serve(self, operation: Operation, **sent_ids: str) -> Response:
        try:
            ids = {name: UUID(text) for name, text in sent_ids.items()}
        except ValueError:
            raise NotFound from None  # not an id, and fixed paths were tried first
        if operation.action is None:
            self.refuse_query()
            sent = () if operation.request is None else (self._read(operation.request),)
            return self._reply(operation, operation.run(*sent))
        credentials = self._credentials()
        facts = self.request_facts(operation.action)
        with self._tenants.transaction():
            caller = self._enter(credentials, facts)
            self.note(tenant_id=str(caller.tenant_id), actor=str(caller.id))
            if not is_allowed(caller.role, operation.action):
                raise NotPermitted(operation.action, caller.role, roles_for(operation.action))
            if operation.needs_fresh_proof:
                caller.require_fresh_proof(datetime.now(UTC))
            sent = self._read_sent(operation)  # not parsed for whoever may not send it
            reason = getattr(sent, "reason", None)
            if reason is not None:  # known only now, so the caller enters again with it
                self._enter(credentials, {**facts, "reason": reason})
            arguments = [caller] if sent is None else [caller, sent]
            response = self._once(
                operation,
                caller,
                lambda: self._reply(operation, operation.run(*arguments, **ids)),
            )
            return sendable(response)

    def _once(self, operation: Operation, caller: Caller, run: Callable[[], Response]) -> Response:
        key = self.request.headers.get(idempotency.HEADER)
        if key is None or not operation.creates:
            return run()
        digest = idempotency.request_digest(
            str(caller.id), operation.method, self.request.path, self.request.raw_body
        )
        seals = seals_of(
            self._answer_keys.parsed(parse_answer_keys),
            tenant_id=caller.tenant_id,
            caller_key=idempotency.parse_key(key),
        )
        sent = SentRequest(seals=seals, digest=digest)
        return idempotency.answer_once(self._tenants, sent, run)

    def _read_sent(self, operation: Operation) -> Contract | None:
        if operation.query is not None:
            return self.read_query(operation.query)
        self.refuse_query()
        return None if operation.request is None else self._read(operation.request)

    def _read(self, contract: type[Contract]) -> Contract:
        """The body, which may be left out, blank or null where it may be empty."""
        is_needed = any(field.is_required() for field in contract.model_fields.values())
        is_short = self.request.body_size <= contract.largest_body
        if not is_needed and is_short and self.request.is_blank:
            return validate(contract, {})
        return self.read_body(contract, may_be_null=not is_needed)

    def _reply(self, operation: Operation, reply: Reply) -> Response:
        if reply is None:
            return Response(status_code=204)
        if isinstance(reply, Response):
            return reply
        return answer(reply, status=operation.status)

    def _credentials(self) -> AccessClaims | bytes:
        """A verified token's claims, or an API key's hash."""
        scheme, _, token = self.request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise NotAuthenticated
        if token.startswith(api_keys.PREFIX):
            return api_keys.digest(token)
        try:
            return self._verified(token)
        except ExpiredToken:
            raise NotAuthenticated("expired") from None
        except InvalidToken:
            raise NotAuthenticated("not valid") from None

    def _verified(self, token: str) -> AccessClaims:
        issuer, now = self.base_url(self._public_url), datetime.now(UTC)
        try:
            return access_tokens.verify(token, self._keys(), issuer=issuer, now=now)
        except UnknownKid:  # published since the key set was read
            return access_tokens.verify(token, self._keys(fresh=True), issuer=issuer, now=now)

    def _keys(self, *, fresh: bool = False) -> JwkSet:
        return self._token_jwks.parsed(parse_jwk_set, fresh=fresh)

    def _enter(self, credentials: AccessClaims | bytes, facts: dict[str, Any]) -> Caller:
        if isinstance(credentials, bytes):
            entered = callers.enter_with_api_key(self._tenants, credentials, facts)
            if entered is None:
                raise NotAuthenticated("not valid")
            return Caller(
                tenant_id=entered.tenant_id,
                kind="api_key",
                id=entered.api_key_id,
                role=entered.role,
            )
        user = callers.enter(self._tenants, credentials, facts)
        if user is None:
            raise NotAuthenticated("not valid")
        if user.must_enrol and facts["action"] not in WITHOUT_SECOND_FACTOR:
            raise SecondFactorMissing
        return Caller(
            tenant_id=credentials.tid,
            kind="user",
            id=credentials.sub,
            role=user.role,
            proof=credentials.proof,
            has_second_factor=user.has_second_factor,
        )
