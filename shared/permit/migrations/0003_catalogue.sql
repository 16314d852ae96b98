-- What a vendor sells, and the rules that its licences share.
CREATE TABLE permit.products (
    tenant_id   uuid        NOT NULL REFERENCES permit.tenants (id),
    id          uuid        NOT NULL DEFAULT gen_random_uuid(),
    code        text        NOT NULL CHECK (code ~ '^[a-z0-9][a-z0-9-]{1,62}$'),
    name        text        NOT NULL CHECK (char_length(name) BETWEEN 1 AND 200),
    created_at  timestamptz NOT NULL DEFAULT permit.clock(),
    archived_at timestamptz,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT products_code_key UNIQUE (tenant_id, code)
);
CALL permit.confine('permit.products');

CREATE TABLE permit.policies (
    tenant_id       uuid        NOT NULL,
    id              uuid        NOT NULL DEFAULT gen_random_uuid(),
    product_id      uuid        NOT NULL,
    name            text        NOT NULL CHECK (char_length(name) BETWEEN 1 AND 200),
    -- Raised by every change: a seat is only taken under the rules that the verdict was made from.
    revision        integer     NOT NULL DEFAULT 1,
    duration        text        CHECK (permit.is_duration(duration)),          -- null: perpetual
    starts          text        NOT NULL CHECK (starts IN ('on_issue', 'on_first_check')),
    on_expiry       text        NOT NULL CHECK (on_expiry IN ('block', 'allow', 'maintain')),
    grace           text        CHECK (permit.is_duration(grace)),
    max_devices     integer     CHECK (max_devices >= 0),                      -- null: unlimited
    overage         integer     NOT NULL CHECK (overage >= 0),
    device_required boolean     NOT NULL,
    activation      text        NOT NULL CHECK (activation IN ('automatic', 'manual')),
    seat_ttl        text        CHECK (permit.is_duration(seat_ttl)),          -- not null: floating
    matching        text        NOT NULL CHECK (matching IN ('exact', 'any', 'two', 'most', 'all')),
    unique_in       text        NOT NULL CHECK (unique_in IN ('none', 'policy', 'product')),
    lease           text        NOT NULL CHECK (permit.is_duration(lease)),
    entitlements    text[]      NOT NULL,
    max_releases    integer     CHECK (max_releases >= 0),                     -- null: unlimited
    self_service    boolean     NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT permit.clock(),
    -- For the check, made at every change by permit.prepare_policy: durations as what is added to a
    -- time, and what the verdict needs to know of the policy and its product.
    grace_interval    interval  NOT NULL,
    seat_ttl_interval interval,
    lease_interval    interval  NOT NULL,
    facts             json      NOT NULL,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT policies_product_key UNIQUE (tenant_id, product_id, id),
    -- Without this a caller escapes what is counted by device, by naming none.
    CONSTRAINT policies_device_required CHECK (
        device_required OR (max_devices IS NULL AND seat_ttl IS NULL AND activation = 'automatic'
                            AND unique_in = 'none')),
    FOREIGN KEY (tenant_id, product_id) REFERENCES permit.products (tenant_id, id)
);
CALL permit.confine('permit.policies');

CREATE FUNCTION permit.prepare_policy() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        NEW.revision := OLD.revision + 1;
    END IF;
    NEW.grace_interval := coalesce(NEW.grace, 'PT0S')::interval;
    NEW.seat_ttl_interval := NEW.seat_ttl::interval;
    NEW.lease_interval := NEW.lease::interval;
    SELECT json_build_object(  -- fields of permit.models.LicenceFacts
               'policy_revision', NEW.revision, 'product', product.code, 'policy', NEW.name,
               'policy_entitlements', NEW.entitlements, 'on_expiry', NEW.on_expiry,
               'device_required', NEW.device_required, 'activation', NEW.activation,
               'matching', NEW.matching, 'overage', NEW.overage)
      INTO NEW.facts
      FROM permit.products AS product
     WHERE product.tenant_id = NEW.tenant_id AND product.id = NEW.product_id;
    RETURN NEW;
END
$$;
CREATE TRIGGER prepare_policy BEFORE INSERT OR UPDATE ON permit.policies
FOR EACH ROW EXECUTE FUNCTION permit.prepare_policy();

-- A product's code is in its policies' facts, in licences' proofs and in shipped programs.
CREATE FUNCTION permit.keep_code() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a product keeps its code' USING ERRCODE = 'check_violation';
END
$$;
CREATE TRIGGER keep_code BEFORE UPDATE OF code ON permit.products
FOR EACH ROW WHEN (OLD.code <> NEW.code) EXECUTE FUNCTION permit.keep_code();

GRANT SELECT ON permit.products, permit.policies TO permit_doors;
GRANT SELECT, INSERT, UPDATE ON permit.products, permit.policies TO permit_operator;
