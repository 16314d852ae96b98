"""A tenant that came while the previous version served, with a licence in use and a session."""

from dataclasses import dataclass

from tests.emulated.stack import Answer, Stack
from tests.support.proof_reading import Proof, read_proof

DEVICE = {"fingerprint": "a machine that was there before"}


@dataclass(kw_only=True)
class Vendor:
    stack: Stack
    email: str
    password: str
    tenant_id: str
    policy_id: str
    key: str
    refresh_token: str

    @classmethod
    def come(cls, stack: Stack) -> "Vendor":
        email = "owner@example.com"
        tenant = stack.operator("create-tenant", name="Example Ltd", email=email)
        ids = {"tenant_id": tenant["tenant_id"]}
        product = stack.operator("create-product", **ids, code="editor", name="Editor")
        policy = stack.operator(
            "create-policy", **ids, product_id=product["id"], name="Standard", max_devices=1
        )
        licence = stack.operator("create-licence", **ids, policy_id=policy["id"])
        vendor = cls(
            stack=stack,
            email=email,
            password=tenant["password"],
            tenant_id=tenant["tenant_id"],
            policy_id=policy["id"],
            key=licence["key"],
            refresh_token="",
        )
        vendor.refresh_token = vendor.log_in().body["refresh_token"]
        assert vendor.check().body["code"] == "VALID"
        return vendor

    def log_in(self) -> Answer:
        body = {"email": self.email, "password": self.password}
        return self.stack.call("POST", "/v1/login", body)

    def check(self, key: str | None = None, **device: str) -> Answer:
        body = {"key": key or self.key, "device": device or DEVICE}
        return self.stack.call("POST", "/v1/licences/check", body)

    def another_key(self) -> str:
        """Of a new licence under the same policy."""
        ids = {"tenant_id": self.tenant_id, "policy_id": self.policy_id}
        return self.stack.operator("create-licence", **ids)["key"]

    def proof(self, key: str | None = None, **device: str) -> Proof:
        """A check's proof, which the tenant's published keys verify."""
        published = self.stack.call("GET", f"/v1/tenants/{self.tenant_id}/jwks.json").body["keys"]
        return read_proof(self.check(key, **device).body["proof"], published)
