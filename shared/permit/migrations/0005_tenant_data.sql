-- A tenant's export and erasure: what they read, what closes a tenant, and what doors delete.
ALTER TABLE permit.tenants ADD COLUMN closed_at timestamptz;  -- not null: it is being erased
GRANT UPDATE ON permit.tenants TO permit_doors;
GRANT SELECT ON permit.sessions, permit.swaps, permit.licence_checks TO permit_operator;

GRANT DELETE ON permit.tenants, permit.products, permit.policies, permit.licences,
                permit.licence_keys, permit.proof_keys
   TO permit_doors;
