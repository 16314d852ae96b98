"""Every field of every request: what the description forbids is refused in the caller's words."""

from typing import Any

from tests.support.deployment import Answer, Deployment
from tests.support.described import (
    OPERATIONS,
    assert_told,
    body_schema,
    fields,
    forbidden,
    forbidden_parameters,
    is_nullable,
    name_of,
    query_schemas,
    with_value,
)
from tests.support.scenario import Play, play

# A field that may be null where another says the same.
ONE_OF_TWO = "give either"


class Probing(Play):
    """A vendor's day in which everything is first sent wrong, and then with each field null."""

    def do(
        self,
        operation: str,
        body: object = None,
        *,
        status: int = 200,
        token: str | None = None,
        **ids: str,
    ) -> Any:
        self._probe_query(operation, token, ids)
        schema = body_schema(operation)
        if schema is None:
            return super().do(operation, body, status=status, token=token, **ids)
        described = dict(fields(schema))
        known = {"body", *map(name_of, described)}
        for path, one in described.items():
            for value in forbidden(one):
                answer = self._send(operation, with_value(body, path, value), token, ids)
                self._assert_refused(answer, name_of(path), known)
            if not is_nullable(one):
                answer = self._send(operation, with_value(body, path, None), token, ids)
                self._assert_refused(answer, name_of(path), known)
        misspelt = self._send(operation, with_value(body, ("no_such_field",), 1), token, ids)
        self._assert_refused(misspelt, "no_such_field", {*known, "no_such_field"})

        done = super().do(operation, body, status=status, token=token, **ids)
        before = self._state(operation, token, ids)
        for path, one in described.items():
            if is_nullable(one):
                answer = self._send(operation, with_value(body, path, None), token, ids)
                assert not _is_about(answer, name_of(path)), (operation, answer.text)
                self._restore(operation, before, str(path[0]), token, ids)
        return done

    def _probe_query(self, operation: str, token: str | None, ids: dict[str, str]) -> None:
        parameters = query_schemas(operation)
        for name, schema in parameters.items():
            for value in forbidden_parameters(schema):
                answer = self._send(operation, None, token, ids, query={name: value})
                self._assert_refused(answer, name, set(parameters))

    def _assert_refused(self, answer: Answer, field: str, known: set[str]) -> None:
        assert (422, "invalid_request") == (answer.status, answer.body["code"]), answer.text
        assert_told(answer.body["errors"], field, known)

    def _send(
        self,
        operation: str,
        body: object,
        token: str | None,
        ids: dict[str, str],
        query: dict[str, object] | None = None,
    ) -> Answer:
        method, path = operation.split()
        for name, value in ids.items():
            path = path.replace(f"{{{name}}}", value)
        return self.deployment.call(method, path, body, token=token, query=query)

    def _state(self, operation: str, token: str | None, ids: dict[str, str]) -> dict[str, Any]:
        """The state that an operation may change."""
        if not operation.startswith("PATCH"):
            return {}
        return self._send(operation.replace("PATCH", "GET"), None, token, ids).body

    def _restore(
        self, operation: str, before: dict[str, Any], name: str, token: str | None, ids: Any
    ) -> None:
        if name in before:
            restored = self._send(operation, {name: before[name]}, token, ids)
            assert restored.status == 200, (operation, restored.text)


def _is_about(answer: Answer, field: str) -> bool:
    return answer.status == 422 and any(
        each["field"] == field and not each["message"].startswith(ONE_OF_TWO)
        for each in answer.body["errors"]
    )


def test_every_field_keeps_what_the_description_says(deployment: Deployment) -> None:
    """Wrong types, values beyond the limits, null: refused by the field's name or taken."""
    examples = play(deployment, Probing)

    assert set(OPERATIONS) == {example["operation"] for example in examples}
