"""The products that a vendor sells."""

from uuid import UUID

from permit.db import Database
from permit.errors import NotFound
from permit.licences.queries import products
from permit.licences.rows import Product


def get_product(database: Database, tenant_id: UUID, product_id: UUID) -> Product:
    return _found(products.find_product(database, tenant_id, product_id))


def rename_product(database: Database, tenant_id: UUID, product_id: UUID, name: str) -> Product:
    return _found(products.set_name(database, tenant_id, product_id, name))


def archive_product(database: Database, tenant_id: UUID, product_id: UUID) -> Product:
    """An archived product gets no new licences; existing ones go on."""
    return _found(products.set_archived(database, tenant_id, product_id))


def _found(product: Product | None) -> Product:
    if product is None:
        raise NotFound
    return product
