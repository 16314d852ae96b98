-- Tenants, their users, sign-in sessions and the throttle of the sign-in.
CREATE TABLE permit.tenants (
    id         uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    name       text        NOT NULL CHECK (char_length(name) BETWEEN 1 AND 200),
    created_at timestamptz NOT NULL DEFAULT permit.clock()
);
CALL permit.confine('permit.tenants', 'id');

CREATE TABLE permit.users (
    tenant_id       uuid        NOT NULL REFERENCES permit.tenants (id),
    id              uuid        NOT NULL DEFAULT gen_random_uuid(),
    email           text        NOT NULL CHECK (char_length(email) BETWEEN 3 AND 254),  -- case-folded
    role            text        NOT NULL CHECK (role IN ('owner', 'admin', 'support')),
    password_hash   text,
    -- Raised by whatever must end this user's sessions; tokens carry the version they were made under.
    session_version integer     NOT NULL DEFAULT 1,
    created_at      timestamptz NOT NULL DEFAULT permit.clock(),
    deactivated_at  timestamptz,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT users_email_key UNIQUE (email)
);
CALL permit.confine('permit.users');

-- A family of refresh tokens: everything that descends from one login.
CREATE TABLE permit.sessions (
    tenant_id       uuid        NOT NULL,
    id              uuid        NOT NULL DEFAULT gen_random_uuid(),
    user_id         uuid        NOT NULL,
    session_version integer     NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT permit.clock(),
    expires_at      timestamptz NOT NULL,
    ended_at        timestamptz,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, user_id) REFERENCES permit.users (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX sessions_user ON permit.sessions (tenant_id, user_id);
CREATE INDEX sessions_expiry ON permit.sessions (expires_at);
CALL permit.confine('permit.sessions');

CREATE TABLE permit.refresh_tokens (
    token_hash  bytea       PRIMARY KEY CHECK (octet_length(token_hash) = 32),
    tenant_id   uuid        NOT NULL,
    session_id  uuid        NOT NULL,
    parent_hash bytea,
    issued_at   timestamptz NOT NULL DEFAULT permit.clock(),
    used_at     timestamptz,
    FOREIGN KEY (tenant_id, session_id) REFERENCES permit.sessions (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX refresh_tokens_session ON permit.refresh_tokens (tenant_id, session_id);
CREATE INDEX refresh_tokens_parent ON permit.refresh_tokens (parent_hash);
CALL permit.confine('permit.refresh_tokens');

-- Keyed by HMACs of (account, address), account and address: no address and no email rests here.
CREATE TABLE permit.login_throttle (
    key           bytea       PRIMARY KEY CHECK (octet_length(key) = 32),
    attempts      integer     NOT NULL,
    blocked_until timestamptz NOT NULL,
    expires_at    timestamptz NOT NULL
);
CREATE INDEX login_throttle_expiry ON permit.login_throttle (expires_at);

GRANT SELECT, INSERT, UPDATE, DELETE
   ON permit.users, permit.sessions, permit.refresh_tokens, permit.login_throttle TO permit_doors;
GRANT SELECT ON permit.tenants TO permit_doors;
GRANT SELECT, INSERT, UPDATE ON permit.tenants, permit.users TO permit_operator;
