"""The vendor's side, warm: issuing, and finding one licence among many."""

import base64
import hashlib
import json
from typing import Any

from tests.bench.data import Database, Template
from tests.bench.interleaved import interleave
from tests.bench.plan import Plan
from tests.bench.rows import SELECT_1, Row, ratio_row
from tests.bench.samples import Samples, milliseconds
from tests.bench.workers import Workers
from tests.support.deployment import Vendor

API_KEY = "permit_ak_of-a-vendor-whose-licences-are-measured"
BATCH = 1_000
PAGE = 1_000  # which one is compared with the first


def vendor_rows(
    workers: Workers, plan: Plan, template: Template, few: Database, many: Database
) -> list[Row]:
    for database in (few, many):
        make_api_key(database, template.vendor)
    return [
        *_issue_rows(workers, plan, template, many),
        *_list_rows(workers, plan, template, many),
        _search_row(workers, plan, few, many),
    ]


def _issue_rows(workers: Workers, plan: Plan, template: Template, database: Database) -> list[Row]:
    order = {"policy_id": template.policy_id, "holder": {"reference": "an order of the bench"}}
    batch = {"licences": [order] * BATCH}
    with workers.vendor(database, API_KEY) as worker:
        taken = interleave(
            plan.vendor_calls,
            select=lambda n: worker.ask("select_1", n),
            one=lambda n: worker.ask("requests", n, "POST", "/v1/licences", order),
        )
        batches = worker.ask("requests", plan.batches, "POST", "/v1/licences/batch", batch)
    select = Samples.without_warm_up(taken["select"])
    one = Samples.without_warm_up(taken["one"])
    whole = Samples.without_warm_up(batches)
    each = Samples([seconds / BATCH for seconds in whole.seconds])
    name = f"one of {BATCH:,} in a batch ({milliseconds(whole.p50)} the batch)"
    return [
        ratio_row("issue one licence", one, SELECT_1, select),
        ratio_row(f"issue {name}", each, "issue one", one),
    ]


def _list_rows(workers: Workers, plan: Plan, template: Template, database: Database) -> list[Row]:
    limit = max(1, plan.many_licences // 10_000)
    first = {"limit": str(limit)}
    # Not the newest: skip the licences that earlier rows have issued.
    later = {"limit": str(limit), "cursor": _cursor(database, template, limit * (PAGE - 1))}
    with workers.vendor(database, API_KEY) as worker:
        taken = interleave(
            plan.vendor_calls,
            first=lambda n: worker.ask("requests", n, "GET", "/v1/licences", None, first),
            later=lambda n: worker.ask("requests", n, "GET", "/v1/licences", None, later),
        )
    first_page = Samples.without_warm_up(taken["first"])
    later_page = Samples.without_warm_up(taken["later"])
    of = f"of {plan.many_licences:,} licences, {limit} a page"
    return [
        Row(what=f"list page 1 {of}", figure=first_page.summary),
        ratio_row(f"list page {PAGE:,} {of}", later_page, "page 1", first_page, at_most=1.5),
    ]


def _search_row(workers: Workers, plan: Plan, few: Database, many: Database) -> Row:
    """One holder, by the beginning of their email."""

    def query(licences: int) -> dict[str, str]:
        return {"holder": f"holder-{licences // 2}@"}

    with workers.vendor(few, API_KEY) as with_few, workers.vendor(many, API_KEY) as with_many:
        asked = ("GET", "/v1/licences", None)
        taken = interleave(
            plan.vendor_calls,
            few=lambda n: with_few.ask("requests", n, *asked, query(plan.few_licences)),
            many=lambda n: with_many.ask("requests", n, *asked, query(plan.many_licences)),
        )
    return ratio_row(
        f"search by holder, {plan.many_licences:,} licences",
        Samples.without_warm_up(taken["many"]),
        f"{plan.few_licences:,} licences",
        Samples.without_warm_up(taken["few"]),
    )


def make_api_key(database: Database, vendor: Vendor) -> str:
    database.deployment.sql(
        """
        INSERT INTO permit.api_keys (tenant_id, name, role, key_hash, key_hint)
        VALUES (%s, 'Bench', 'admin', %s, 'bench')
        """,
        vendor.tenant_id,
        hashlib.sha256(API_KEY.encode()).digest(),
    )
    return API_KEY


def _cursor(database: Database, template: Template, rows: int) -> str:
    """Of the page after so many rows, without paging up to it."""
    [(created_at, licence_id)] = database.deployment.sql(
        """
        SELECT l.created_at, l.id
          FROM permit.licences AS l
         WHERE l.tenant_id = %s
         ORDER BY l.created_at DESC, l.id DESC
        OFFSET %s LIMIT 1
        """,
        template.vendor.tenant_id,
        rows - 1,
    )
    place: list[Any] = [created_at.isoformat(), str(licence_id)]
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode()
