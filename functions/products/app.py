"""/v1/products, /v1/policies: what a vendor sells, and the rules that licences share."""

from dataclasses import asdict
from typing import Any, Literal
from uuid import UUID

from permit.contracts import Answer, Contract, Id, Name, Reasoned, answer_of, changes_of
from permit.db import Database
from permit.edge.operations import VendorApi
from permit.edge.payload import Context
from permit.licences import policies, products
from permit.licences.queries import policies as policy_queries
from permit.licences.queries import products as product_queries
from permit.licences.refusals import PolicyInUse, ProductCodeTaken
from permit.licences.rows import Policy, PolicyReach, Product
from permit.licences.terms import Code, MeterAnswer, PolicyTerms
from permit.paging import PageAnswer, PageQuery, page, place
from permit.people.callers import Caller
from permit.settings import VendorSettings


class NewProduct(Contract):
    code: Code
    """Names the product in checks and proofs. It cannot be changed, and no other product of the
    tenant may have it."""
    name: Name
    """What people call the product."""


class ProductChange(Reasoned):
    name: Name
    """What people call the product."""


class ProductAnswer(answer_of(Product)):
    pass


class NewPolicy(PolicyTerms):
    product_id: Id
    """The id of the product that its licences are for."""


class PolicyTrial(Reasoned):
    dry_run: bool = False
    """Whether to change nothing, and to answer what the change would touch. It is refused as the
    change would be."""


class PolicyChange(changes_of(PolicyTerms, PolicyTrial)):
    """What is left out stays; null removes a limit or a duration."""

    def given(self) -> dict[str, Any]:
        """What is to be changed, by name."""
        return self.model_dump(exclude_unset=True, exclude={"reason", "dry_run"})


class PolicyQuery(PageQuery):
    product_id: Id | None = None
    """Only policies of this product."""


class PolicyAnswer(answer_of(Policy)):
    meters: list[MeterAnswer]


class TriedPolicyAnswer(answer_of(PolicyReach)):
    """With `dry_run`."""

    dry_run: Literal[True] = True
    """Nothing was changed."""
    policy: PolicyAnswer
    """The policy as it would be."""


class ProductList(PageAnswer):
    items: list[ProductAnswer]


class PolicyList(PageAnswer):
    items: list[PolicyAnswer]


settings = VendorSettings.from_environment()
database = Database(settings)
api = VendorApi(database, settings)


@api.operation(
    "POST",
    "/v1/products",
    "products.create",
    request=NewProduct,
    answer=ProductAnswer,
    creates=True,
    refuses=(ProductCodeTaken,),
)
def create_product(caller: Caller, request: NewProduct) -> Answer:
    """Create a product."""
    return ProductAnswer.of(
        product_queries.insert_product(
            database, caller.tenant_id, code=request.code, name=request.name
        )
    )


@api.operation("GET", "/v1/products", "products.read", query=PageQuery, answer=ProductList)
def list_products(caller: Caller, query: PageQuery) -> Answer:
    """List the products, newest first."""
    where = place(query)
    rows = product_queries.list_products(database, caller.tenant_id, where)
    return ProductList.of(page(rows, where, lambda row: (row.created_at, row.id)))


@api.operation("GET", "/v1/products/{product_id}", "products.read", answer=ProductAnswer)
def get_product(caller: Caller, product_id: UUID) -> Answer:
    """Get a product."""
    return ProductAnswer.of(products.get_product(database, caller.tenant_id, product_id))


@api.operation(
    "PATCH",
    "/v1/products/{product_id}",
    "products.change",
    request=ProductChange,
    answer=ProductAnswer,
)
def change_product(caller: Caller, request: ProductChange, product_id: UUID) -> Answer:
    """Rename a product; its code stays, because proofs and shipped programs contain it."""
    return ProductAnswer.of(
        products.rename_product(database, caller.tenant_id, product_id, request.name)
    )


@api.operation(
    "POST",
    "/v1/products/{product_id}/archive",
    "products.archive",
    request=Reasoned,
    answer=ProductAnswer,
)
def archive_product(caller: Caller, request: Reasoned, product_id: UUID) -> Answer:
    """Archive a product: it gets no new licences, and existing ones go on."""
    return ProductAnswer.of(products.archive_product(database, caller.tenant_id, product_id))


@api.operation(
    "POST",
    "/v1/policies",
    "policies.create",
    request=NewPolicy,
    answer=PolicyAnswer,
    creates=True,
)
def create_policy(caller: Caller, request: NewPolicy) -> Answer:
    """Create a policy."""
    return PolicyAnswer.of(
        policies.create_policy(database, caller.tenant_id, request.product_id, request)
    )


@api.operation("GET", "/v1/policies", "policies.read", query=PolicyQuery, answer=PolicyList)
def list_policies(caller: Caller, query: PolicyQuery) -> Answer:
    """List the policies, newest first; with `product_id`, only those of one product."""
    where = place(query)
    rows = policy_queries.list_policies(database, caller.tenant_id, query.product_id, where)
    return PolicyList.of(page(rows, where, lambda row: (row.created_at, row.id)))


@api.operation("GET", "/v1/policies/{policy_id}", "policies.read", answer=PolicyAnswer)
def get_policy(caller: Caller, policy_id: UUID) -> Answer:
    """Get a policy."""
    return PolicyAnswer.of(policies.get_policy(database, caller.tenant_id, policy_id))


@api.operation(
    "PATCH",
    "/v1/policies/{policy_id}",
    "policies.change",
    request=PolicyChange,
    answer=PolicyAnswer | TriedPolicyAnswer,
)
def change_policy(caller: Caller, request: PolicyChange, policy_id: UUID) -> Answer:
    """Change a policy; its licences follow at their next check. With `dry_run`, try that."""
    changes = request.given()
    if not request.dry_run:
        return PolicyAnswer.of(
            policies.change_policy(database, caller.tenant_id, policy_id, changes)
        )
    policy, reach = policies.try_change(database, caller.tenant_id, policy_id, changes)
    return TriedPolicyAnswer(**asdict(reach), policy=PolicyAnswer.of(policy))


@api.operation(
    "DELETE",
    "/v1/policies/{policy_id}",
    "policies.delete",
    refuses=(PolicyInUse,),
)
def delete_policy(caller: Caller, policy_id: UUID) -> None:
    """Delete a policy that has no licences."""
    policies.delete_policy(database, caller.tenant_id, policy_id)


def handler(event: dict[str, Any], context: Context) -> dict[str, Any]:
    return api.resolve(event, context)
