"""How Postgres carries out what a function asks."""

from typing import Any

import pytest

from tests.support.deployment import Deployment


def plans_of(deployment: Deployment, monkeypatch: pytest.MonkeyPatch, function: str) -> list[Any]:
    """The plan of each statement for which the function fetches rows from now on."""
    database = deployment.environment(function).database
    fetch_all, plans = database.fetch_all, []

    def explain(row_type: type[Any], statement: str, parameters: Any) -> list[Any]:
        plans.append(
            database._run(
                lambda c: c.execute("EXPLAIN " + statement, parameters).fetchall(),
                is_repeatable=False,
            )
        )
        return fetch_all(row_type, statement, parameters)

    monkeypatch.setattr(database, "fetch_all", explain)
    return plans
