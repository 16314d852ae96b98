"""The shape of every refusal."""

from tests.support.deployment import Answer

# Put this into what is refused: it must not come back.
MARK = "do-not-echo-this"


def assert_refused(answer: Answer, *fields: str, status: int = 422) -> None:
    """One problem in the shape of RFC 9457, which names these fields and quotes no value."""
    problem = answer.body
    assert status == answer.status, answer.text
    assert "application/problem+json" == answer.headers["content-type"]
    members = {"type", "title", "status", "detail", "code", "request_id", "errors"}
    assert members == {*problem}
    assert (status, f"urn:permit:problem:{problem['code']}") == (problem["status"], problem["type"])
    assert {*fields} == {error["field"] for error in problem["errors"]}
    assert MARK not in answer.text
