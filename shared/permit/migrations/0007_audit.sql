-- Who changed what: written by triggers (doors/audit.sql) in the transaction of the change.
CREATE TABLE permit.audit_events (
    tenant_id    uuid        NOT NULL REFERENCES permit.tenants (id),
    id           uuid        NOT NULL DEFAULT gen_random_uuid(),
    occurred_at  timestamptz NOT NULL DEFAULT permit.clock(),
    actor_kind   text        NOT NULL CHECK (actor_kind IN ('user', 'api_key', 'operator')),
    actor_id     uuid,                             -- null: the operator
    action       text        NOT NULL,
    subject_kind text        NOT NULL,
    subject_id   uuid        NOT NULL,
    -- Field by field {"from", "to"}; a personal field and a secret one are named without values.
    changes      jsonb       NOT NULL,
    reason       text,
    request_id   text,
    address      text,                             -- forgotten after 90 days
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX audit_events_time ON permit.audit_events (tenant_id, occurred_at, id);
CREATE INDEX audit_events_subject ON permit.audit_events (tenant_id, subject_id, occurred_at, id);
CREATE INDEX audit_events_actor ON permit.audit_events (tenant_id, actor_id, occurred_at, id);
CREATE INDEX audit_events_address ON permit.audit_events (occurred_at) WHERE address IS NOT NULL;
CALL permit.confine('permit.audit_events');

-- Append-only for every function: the doors alone write, and change nothing but the address.
GRANT SELECT ON permit.audit_events TO permit_vendor, permit_operator;
GRANT SELECT, INSERT, UPDATE (address), DELETE ON permit.audit_events TO permit_doors;
GRANT TRIGGER ON permit.products, permit.policies, permit.licences, permit.devices, permit.users,
                 permit.api_keys
   TO permit_doors;

-- The first answer to a creating request, for whoever sends it again. It is sealed under a key that
-- comes from the Idempotency-Key, and of that only the hash is kept.
CREATE TABLE permit.idempotent_answers (
    tenant_id    uuid        NOT NULL REFERENCES permit.tenants (id),
    key_hash     bytea       NOT NULL CHECK (octet_length(key_hash) = 32),
    request_hash bytea       NOT NULL CHECK (octet_length(request_hash) = 32),
    sealed       bytea,                            -- null only within the transaction that answers
    created_at   timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, key_hash)
);
CREATE INDEX idempotent_answers_age ON permit.idempotent_answers (created_at);
CALL permit.confine('permit.idempotent_answers');
GRANT SELECT, INSERT, UPDATE, DELETE ON permit.idempotent_answers TO permit_doors;
