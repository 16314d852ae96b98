-- A tenant's export and erasure: what they read, and what one door deletes.
GRANT SELECT ON permit.sessions, permit.swaps, permit.licence_checks TO permit_operator;

GRANT DELETE ON permit.tenants, permit.products, permit.policies, permit.licences,
                permit.licence_keys, permit.proof_keys
   TO permit_doors;
