"""What a vendor sells, under the entered tenant."""

from typing import LiteralString
from uuid import UUID

import psycopg

from permit.db import Database
from permit.errors import NotFound
from permit.licences.refusals import ProductCodeTaken
from permit.licences.rows import Product
from permit.paging import Place

_COLUMNS: LiteralString = " id, code, name, created_at, archived_at "


def insert_product(database: Database, tenant_id: UUID, *, code: str, name: str) -> Product:
    try:
        product = database.fetch_one(
            Product,
            """
            INSERT INTO permit.products (tenant_id, code, name)
            VALUES (%(tenant_id)s, %(code)s, %(name)s)
            RETURNING
            """
            + _COLUMNS,
            {"tenant_id": tenant_id, "code": code, "name": name},
        )
    except psycopg.errors.UniqueViolation as error:
        if error.diag.constraint_name == "products_code_key":
            raise ProductCodeTaken from None
        raise
    except psycopg.errors.ForeignKeyViolation:  # its only foreign key: there is no such tenant
        raise NotFound from None
    assert product is not None  # noqa: S101 (an insert that returns answers a row)
    return product


def list_products(database: Database, tenant_id: UUID, place: Place) -> list[Product]:
    return database.fetch_all(
        Product,
        "SELECT"
        + _COLUMNS
        + """
          FROM permit.products AS p
         WHERE p.tenant_id = %(tenant_id)s
           AND (%(after)s::timestamptz IS NULL
                OR (p.created_at, p.id) < (%(after)s, %(after_id)s::uuid))
         ORDER BY p.created_at DESC, p.id DESC
         LIMIT %(at_most)s
        """,
        {"tenant_id": tenant_id, **place.parameters()},
    )


def find_product(database: Database, tenant_id: UUID, product_id: UUID) -> Product | None:
    return database.fetch_one(
        Product,
        "SELECT"
        + _COLUMNS
        + """
          FROM permit.products
         WHERE tenant_id = %(tenant_id)s AND id = %(product_id)s
        """,
        {"tenant_id": tenant_id, "product_id": product_id},
    )


def set_name(database: Database, tenant_id: UUID, product_id: UUID, name: str) -> Product | None:
    return database.fetch_one(
        Product,
        """
        UPDATE permit.products
           SET name = %(name)s
         WHERE tenant_id = %(tenant_id)s AND id = %(product_id)s
        RETURNING
        """
        + _COLUMNS,
        {"tenant_id": tenant_id, "product_id": product_id, "name": name},
    )


def set_archived(database: Database, tenant_id: UUID, product_id: UUID) -> Product | None:
    """Archived once: the first time stays."""
    return database.fetch_one(
        Product,
        """
        UPDATE permit.products
           SET archived_at = coalesce(archived_at, permit.clock())
         WHERE tenant_id = %(tenant_id)s AND id = %(product_id)s
        RETURNING
        """
        + _COLUMNS,
        {"tenant_id": tenant_id, "product_id": product_id},
    )
