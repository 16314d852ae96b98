-- The vendor's own way to his catalogue: search, metering, and what permit_vendor may touch.

-- What a holder is found by; in "C", because no other order serves a range under row-level
-- security. Folded by the functions: what lower() knows of letters depends on the server's locale.
ALTER TABLE permit.licences
    ADD COLUMN holder_name_folded      text COLLATE "C",
    ADD COLUMN holder_email_folded     text COLLATE "C",
    ADD COLUMN holder_reference_folded text COLLATE "C",
    ADD COLUMN meters                  jsonb CHECK (jsonb_typeof(meters) = 'array');  -- null: the policy's
UPDATE permit.licences
   SET holder_name_folded = lower(holder_name),
       holder_email_folded = lower(holder_email),
       holder_reference_folded = lower(holder_reference);
ALTER TABLE permit.policies
    ADD COLUMN meters jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(meters) = 'array');

CREATE INDEX licences_newest ON permit.licences (tenant_id, created_at, id);
CREATE INDEX licences_product ON permit.licences (tenant_id, product_id, created_at, id);
CREATE INDEX licences_expiry ON permit.licences (tenant_id, expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX licences_key_hint ON permit.licences (tenant_id, key_hint);
CREATE INDEX licences_holder_name ON permit.licences (tenant_id, holder_name_folded);
CREATE INDEX licences_holder_email ON permit.licences (tenant_id, holder_email_folded);
CREATE INDEX licences_holder_reference ON permit.licences (tenant_id, holder_reference_folded);
CREATE INDEX licences_suspended ON permit.licences (tenant_id, created_at, id)
    WHERE suspended_at IS NOT NULL;
CREATE INDEX licences_revoked ON permit.licences (tenant_id, created_at, id)
    WHERE revoked_at IS NOT NULL;

-- What was used of a meter, by the period in which it was.
CREATE TABLE permit.usage (
    tenant_id    uuid        NOT NULL,
    licence_id   uuid        NOT NULL,
    meter        text        NOT NULL,
    period_start timestamptz NOT NULL,             -- -infinity: the meter has no periods
    used         bigint      NOT NULL CHECK (used >= 0),
    PRIMARY KEY (licence_id, meter, period_start),
    FOREIGN KEY (tenant_id, licence_id) REFERENCES permit.licences (tenant_id, id) ON DELETE CASCADE
);
CALL permit.confine('permit.usage');

-- Counted once: what was answered to a usage that may be sent again.
CREATE TABLE permit.usage_requests (
    tenant_id    uuid        NOT NULL,
    licence_id   uuid        NOT NULL,
    key_hash     bytea       NOT NULL CHECK (octet_length(key_hash) = 32),
    meter        text        NOT NULL,
    quantity     bigint      NOT NULL,
    answer       json,                             -- null only within the transaction that counts
    created_at   timestamptz NOT NULL,
    PRIMARY KEY (licence_id, key_hash),
    FOREIGN KEY (tenant_id, licence_id) REFERENCES permit.licences (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX usage_requests_age ON permit.usage_requests (created_at);
CALL permit.confine('permit.usage_requests');

GRANT SELECT, INSERT, UPDATE ON permit.products, permit.licences, permit.licence_keys TO permit_vendor;
GRANT SELECT, INSERT, UPDATE, DELETE ON permit.policies TO permit_vendor;
GRANT SELECT, UPDATE ON permit.devices TO permit_vendor;
GRANT SELECT ON permit.licence_checks TO permit_vendor;
GRANT SELECT, UPDATE ON permit.usage TO permit_vendor;
GRANT SELECT ON permit.usage TO permit_operator;
GRANT SELECT, INSERT, UPDATE ON permit.usage TO permit_doors;
GRANT SELECT, INSERT, UPDATE, DELETE ON permit.usage_requests TO permit_doors;
GRANT TRIGGER ON permit.usage TO permit_doors;
GRANT EXECUTE ON FUNCTION permit.seat_limit(integer, integer) TO permit_vendor, permit_operator;
