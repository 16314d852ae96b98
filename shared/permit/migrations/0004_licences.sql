-- Licences, their keys, the devices that hold their seats, and the keys that sign their proofs.
CREATE TABLE permit.licences (
    tenant_id        uuid        NOT NULL,
    id               uuid        NOT NULL DEFAULT gen_random_uuid(),
    product_id       uuid        NOT NULL,
    policy_id        uuid        NOT NULL,
    revision         integer     NOT NULL DEFAULT 1,  -- as policies.revision
    key_hint         text        NOT NULL,
    holder_name      text,
    holder_email     text,
    holder_reference text,
    starts_at        timestamptz,                     -- null: waits for its first valid check
    expires_at       timestamptz,                     -- null: perpetual, or not yet started
    max_devices      integer     CHECK (max_devices >= -1),  -- null: the policy's; -1: unlimited
    entitlements     text[]      NOT NULL,
    metadata         jsonb       NOT NULL CHECK (jsonb_typeof(metadata) = 'object'),
    notes            text,
    created_at       timestamptz NOT NULL DEFAULT permit.clock(),
    suspended_at     timestamptz,
    revoked_at       timestamptz,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT licences_term CHECK (expires_at > starts_at),
    FOREIGN KEY (tenant_id, product_id, policy_id)
        REFERENCES permit.policies (tenant_id, product_id, id)
);
CREATE INDEX licences_policy ON permit.licences (tenant_id, policy_id);
CALL permit.confine('permit.licences');

-- How many seats a licence has before its overage; null: unlimited.
CREATE FUNCTION permit.seat_limit(p_of_licence integer, p_of_policy integer) RETURNS integer
LANGUAGE sql IMMUTABLE
RETURN CASE p_of_licence WHEN -1 THEN NULL ELSE coalesce(p_of_licence, p_of_policy) END;

GRANT EXECUTE ON FUNCTION permit.seat_limit(integer, integer) TO permit_doors;

CREATE FUNCTION permit.raise_revision() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    NEW.revision := OLD.revision + 1;
    RETURN NEW;
END
$$;
CREATE TRIGGER raise_revision BEFORE UPDATE ON permit.licences
FOR EACH ROW EXECUTE FUNCTION permit.raise_revision();

-- A key that was rotated away stays known, so that its holder is told so.
CREATE TABLE permit.licence_keys (
    key_hash    bytea       PRIMARY KEY CHECK (octet_length(key_hash) = 32),
    tenant_id   uuid        NOT NULL,
    licence_id  uuid        NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT permit.clock(),
    valid_until timestamptz,                          -- null: the licence's current key
    FOREIGN KEY (tenant_id, licence_id) REFERENCES permit.licences (tenant_id, id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX licence_keys_current ON permit.licence_keys (licence_id) WHERE valid_until IS NULL;
CREATE INDEX licence_keys_licence ON permit.licence_keys (licence_id);
CALL permit.confine('permit.licence_keys');

CREATE TABLE permit.devices (
    tenant_id        uuid        NOT NULL,
    id               uuid        NOT NULL DEFAULT gen_random_uuid(),
    licence_id       uuid        NOT NULL,
    fingerprint_hash bytea       NOT NULL CHECK (octet_length(fingerprint_hash) = 32),
    components       jsonb       NOT NULL CHECK (jsonb_typeof(components) = 'object'),
    name             text,
    platform         text,
    state            text        NOT NULL CHECK (state IN ('seated', 'lapsed', 'released', 'blocked')),
    seated_at        timestamptz,                     -- when the present or last seat was taken
    first_seated_at  timestamptz,
    first_seen_at    timestamptz NOT NULL,
    last_seen_at     timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT devices_fingerprint_key UNIQUE (licence_id, fingerprint_hash),
    CONSTRAINT devices_seated CHECK (state <> 'seated' OR seated_at IS NOT NULL),
    FOREIGN KEY (tenant_id, licence_id) REFERENCES permit.licences (tenant_id, id) ON DELETE CASCADE
) WITH (fillfactor = 80);  -- room for last_seen_at to be rewritten in place
CREATE INDEX devices_seats ON permit.devices (licence_id, seated_at, id) WHERE state = 'seated';
CREATE INDEX devices_seen_elsewhere ON permit.devices (tenant_id, fingerprint_hash)
    WHERE first_seated_at IS NOT NULL;
CALL permit.confine('permit.devices');

-- Fingerprints that a device has left behind: they never match again.
CREATE TABLE permit.retired_fingerprints (
    tenant_id        uuid        NOT NULL,
    licence_id       uuid        NOT NULL,
    device_id        uuid        NOT NULL,            -- the last to have left it behind
    fingerprint_hash bytea       NOT NULL,
    first_seated_at  timestamptz,
    retired_at       timestamptz NOT NULL DEFAULT permit.clock(),
    PRIMARY KEY (licence_id, fingerprint_hash),
    FOREIGN KEY (tenant_id, licence_id) REFERENCES permit.licences (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX retired_fingerprints_elsewhere ON permit.retired_fingerprints (tenant_id, fingerprint_hash);
CALL permit.confine('permit.retired_fingerprints');

-- What the key's holder did that frees or moves a seat; counted against max_releases.
CREATE TABLE permit.swaps (
    tenant_id  uuid        NOT NULL,
    id         uuid        NOT NULL DEFAULT gen_random_uuid(),
    licence_id uuid        NOT NULL,
    device_id  uuid        NOT NULL,
    kind       text        NOT NULL CHECK (kind IN ('release', 'rebind')),
    swapped_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, licence_id) REFERENCES permit.licences (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX swaps_licence ON permit.swaps (licence_id, swapped_at);
CREATE INDEX swaps_age ON permit.swaps (swapped_at);
CALL permit.confine('permit.swaps');

-- When a licence was last checked without naming a device; with one, its last_seen_at says it.
CREATE TABLE permit.licence_checks (
    tenant_id       uuid        NOT NULL,
    licence_id      uuid        PRIMARY KEY,
    last_checked_at timestamptz NOT NULL,
    FOREIGN KEY (tenant_id, licence_id) REFERENCES permit.licences (tenant_id, id) ON DELETE CASCADE
);
CALL permit.confine('permit.licence_checks');

CREATE TABLE permit.proof_keys (
    tenant_id      uuid        NOT NULL REFERENCES permit.tenants (id),
    kid            text        PRIMARY KEY,
    state          text        NOT NULL CHECK (state IN ('current', 'next', 'retired', 'withdrawn')),
    public_key     bytea       NOT NULL CHECK (octet_length(public_key) = 32),
    sealed         bytea       NOT NULL,              -- the private key, AES-256-GCM
    master_version text        NOT NULL,
    created_at     timestamptz NOT NULL DEFAULT permit.clock(),
    ended_at       timestamptz,                       -- retired or withdrawn
    CONSTRAINT proof_keys_ended CHECK ((state IN ('retired', 'withdrawn')) = (ended_at IS NOT NULL))
);
CREATE UNIQUE INDEX proof_keys_current ON permit.proof_keys (tenant_id) WHERE state = 'current';
CREATE UNIQUE INDEX proof_keys_next ON permit.proof_keys (tenant_id) WHERE state = 'next';
CREATE INDEX proof_keys_master_version ON permit.proof_keys (master_version);
CALL permit.confine('permit.proof_keys');

GRANT SELECT, UPDATE ON permit.licences TO permit_doors;
GRANT SELECT ON permit.licence_keys TO permit_doors;
GRANT SELECT, INSERT, UPDATE ON permit.devices, permit.licence_checks TO permit_doors;
GRANT SELECT, INSERT, UPDATE ON permit.retired_fingerprints TO permit_doors;
GRANT SELECT, INSERT, DELETE ON permit.swaps TO permit_doors;
GRANT SELECT, UPDATE ON permit.proof_keys TO permit_doors;
GRANT SELECT, INSERT, UPDATE
   ON permit.licences, permit.licence_keys, permit.proof_keys TO permit_operator;
GRANT SELECT, UPDATE ON permit.devices TO permit_operator;
