-- What keeps an account its owner's: who may use a link, which places sign in, who acts.

-- Emails are compared in their composed form (NFC) from now on. The owner of the schema sees no rows
-- under forced row-level security; the doors do. Where two accounts differ in form alone, the
-- decomposed one keeps its email.
SET LOCAL ROLE permit_doors;
UPDATE permit.users AS u
   SET email = normalize(u.email, NFC)
 WHERE u.email IS NOT NFC NORMALIZED
   AND NOT EXISTS (SELECT FROM permit.users AS o WHERE o.email = normalize(u.email, NFC));
SET LOCAL ROLE permit_owner;

-- Only who has accepted occupies an email; an invitation is unique in its tenant. The name stays with
-- what a second invitation violates: the version before tells it by the name.
ALTER TABLE permit.users DROP CONSTRAINT users_email_key;
CREATE UNIQUE INDEX users_email_key ON permit.users (tenant_id, email);
CREATE UNIQUE INDEX users_accepted_email_key ON permit.users (email) WHERE password_hash IS NOT NULL;

ALTER TABLE permit.tenants
    ADD COLUMN requires_second_factor boolean NOT NULL DEFAULT false;  -- of all its people
ALTER TABLE permit.sessions
    ADD COLUMN with_second_factor boolean NOT NULL DEFAULT false;      -- the login's

-- What a one-time link stands on: it dies with any change of these. Never told to anybody.
CREATE FUNCTION permit.standing(p_user permit.users) RETURNS bytea
LANGUAGE sql STABLE
RETURN sha256(convert_to(jsonb_build_array(
           (p_user).role, (p_user).email, (p_user).password_hash,
           extract(epoch FROM (p_user).deactivated_at))::text, 'UTF8'));
GRANT EXECUTE ON FUNCTION permit.standing(permit.users) TO permit_doors;

ALTER TABLE permit.user_links
    ADD COLUMN standing       bytea,  -- the user's, when it was made
    ADD COLUMN maker_kind     text CHECK (maker_kind IN ('user', 'api_key')),
    ADD COLUMN maker_id       uuid,   -- null: made before makers were noted
    ADD COLUMN maker_standing bytea;  -- null: an API key's
CREATE INDEX user_links_maker ON permit.user_links (tenant_id, maker_id);
SET LOCAL ROLE permit_doors;
UPDATE permit.user_links AS l
   SET standing = permit.standing(u)
  FROM permit.users AS u
 WHERE u.tenant_id = l.tenant_id AND u.id = l.user_id;
SET LOCAL ROLE permit_owner;

-- Counters of attempts lose one each time their longest delay has passed since then.
ALTER TABLE permit.login_throttle ADD COLUMN decayed_at timestamptz NOT NULL DEFAULT now();

-- Where an account has signed in from lately: the same HMAC of account and address that attempts are
-- counted by. It is judged by itself, so no stranger makes it wait.
CREATE TABLE permit.login_places (
    key        bytea       PRIMARY KEY CHECK (octet_length(key) = 32),
    tenant_id  uuid        NOT NULL,
    user_id    uuid        NOT NULL,
    expires_at timestamptz NOT NULL,
    FOREIGN KEY (tenant_id, user_id) REFERENCES permit.users (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX login_places_user ON permit.login_places (tenant_id, user_id);
CREATE INDEX login_places_expiry ON permit.login_places (expires_at);
CALL permit.confine('permit.login_places');

-- How an event's actor is known, where that is less than a token or a key: by a link that the actor
-- made, by the password alone, by a refresh token that somebody else has too.
ALTER TABLE permit.audit_events
    ADD COLUMN actor_means text CHECK (actor_means IN ('link', 'password', 'refresh_token'));

-- What the doors seal with who acts in a transaction; nobody else reads it. 244 random bits.
CREATE TABLE permit.acting_secret (
    secret bytea NOT NULL CHECK (octet_length(secret) = 32)
);
CREATE UNIQUE INDEX acting_secret_once ON permit.acting_secret ((true));
INSERT INTO permit.acting_secret (secret)
VALUES (sha256(convert_to(gen_random_uuid()::text || gen_random_uuid()::text, 'UTF8')));

GRANT SELECT ON permit.acting_secret TO permit_doors;
GRANT SELECT, INSERT, UPDATE, DELETE ON permit.login_places TO permit_doors;
GRANT TRIGGER ON permit.tenants, permit.user_links, permit.recovery_codes, permit.licence_keys
   TO permit_doors;
