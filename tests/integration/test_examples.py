"""The examples of the API's description: played again, they are answered the same."""

from permit.people.callers import EVENTS
from tests.support.deployment import Deployment
from tests.support.scenario import play
from tools.openapi import read_examples


def test_every_example_is_true(deployment: Deployment) -> None:
    """Each operation, in the order of a vendor's day; `make openapi` writes what has changed."""
    played = play(deployment)
    told = deployment.sql("SELECT DISTINCT action FROM permit.audit_events")

    for expected, found in zip(read_examples(), played, strict=True):
        assert expected == found
    assert {action for (action,) in told} <= set(EVENTS)
