-- The vendor's people and servers: invitations, second factors, API keys.
ALTER TABLE permit.users
    ADD COLUMN name                text CHECK (char_length(name) BETWEEN 1 AND 200),
    -- Invited, and without a password yet.
    ADD COLUMN is_pending          boolean NOT NULL GENERATED ALWAYS AS (password_hash IS NULL) STORED,
    ADD COLUMN totp_sealed         bytea,          -- the secret, AES-256-GCM
    ADD COLUMN totp_master_version text,
    ADD COLUMN totp_confirmed_at   timestamptz,    -- null: not asked for at login yet
    ADD COLUMN totp_used_step      bigint,         -- RFC 6238's time step of the last accepted code
    ADD CONSTRAINT users_totp CHECK (
        (totp_sealed IS NULL) = (totp_master_version IS NULL)
        AND (totp_confirmed_at IS NULL OR totp_sealed IS NOT NULL));
CREATE INDEX users_totp_master_version ON permit.users (totp_master_version)
    WHERE totp_master_version IS NOT NULL;

-- One-time links: to accept an invitation, or to choose another password.
CREATE TABLE permit.user_links (
    token_hash bytea       PRIMARY KEY CHECK (octet_length(token_hash) = 32),
    tenant_id  uuid        NOT NULL,
    user_id    uuid        NOT NULL,
    kind       text        NOT NULL CHECK (kind IN ('invitation', 'password_reset')),
    created_at timestamptz NOT NULL DEFAULT permit.clock(),
    expires_at timestamptz NOT NULL,
    FOREIGN KEY (tenant_id, user_id) REFERENCES permit.users (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX user_links_user ON permit.user_links (tenant_id, user_id);
CREATE INDEX user_links_expiry ON permit.user_links (expires_at);
CALL permit.confine('permit.user_links');

CREATE TABLE permit.recovery_codes (
    tenant_id uuid  NOT NULL,
    user_id   uuid  NOT NULL,
    code_hash bytea NOT NULL CHECK (octet_length(code_hash) = 32),
    PRIMARY KEY (tenant_id, user_id, code_hash),
    FOREIGN KEY (tenant_id, user_id) REFERENCES permit.users (tenant_id, id) ON DELETE CASCADE
);
CALL permit.confine('permit.recovery_codes');

CREATE TABLE permit.api_keys (
    tenant_id    uuid        NOT NULL REFERENCES permit.tenants (id),
    id           uuid        NOT NULL DEFAULT gen_random_uuid(),
    name         text        NOT NULL CHECK (char_length(name) BETWEEN 1 AND 200),
    role         text        NOT NULL CHECK (role IN ('admin', 'support', 'issuer')),
    key_hash     bytea       NOT NULL CHECK (octet_length(key_hash) = 32),
    key_hint     text        NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT permit.clock(),
    expires_at   timestamptz,
    last_used_at timestamptz,                      -- exact to five minutes
    revoked_at   timestamptz,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT api_keys_key_hash_key UNIQUE (key_hash)
);
CALL permit.confine('permit.api_keys');

GRANT SELECT ON permit.tenants TO permit_vendor;
-- Not the hash of a password: doors alone verify and set it.
GRANT SELECT (tenant_id, id, email, name, role, session_version, created_at, deactivated_at,
              is_pending, totp_sealed, totp_master_version, totp_confirmed_at, totp_used_step),
      INSERT (tenant_id, email, name, role),
      UPDATE (name, totp_sealed, totp_master_version, totp_confirmed_at, totp_used_step)
   ON permit.users TO permit_vendor;
GRANT SELECT, INSERT, DELETE ON permit.recovery_codes TO permit_vendor;
GRANT SELECT (tenant_id, user_id, kind, expires_at), INSERT ON permit.user_links TO permit_vendor;
GRANT SELECT, INSERT, UPDATE (revoked_at) ON permit.api_keys TO permit_vendor;
GRANT SELECT, INSERT, UPDATE, DELETE ON permit.user_links TO permit_doors;
GRANT SELECT, INSERT, DELETE ON permit.recovery_codes TO permit_doors;
GRANT SELECT, UPDATE, DELETE ON permit.api_keys TO permit_doors;
GRANT SELECT ON permit.api_keys TO permit_operator;
GRANT SELECT, DELETE ON permit.recovery_codes TO permit_operator;
