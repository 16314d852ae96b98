-- What a vendor finds: events by what their subject belongs to, and holders stored by an older folding.

-- The licence of a device, the product of a policy. A trigger sets it (doors/audit.sql), and the sweep
-- where it is missing: in older events, and in those that the doors of the version before have told.
ALTER TABLE permit.audit_events ADD COLUMN parent_id uuid;
CREATE INDEX audit_events_parent ON permit.audit_events (tenant_id, parent_id, occurred_at, id)
    WHERE parent_id IS NOT NULL;
CREATE INDEX audit_events_without_parent ON permit.audit_events (subject_kind)
    WHERE parent_id IS NULL AND subject_kind IN ('device', 'policy');
GRANT UPDATE (parent_id) ON permit.audit_events TO permit_doors;
GRANT TRIGGER ON permit.audit_events TO permit_doors;

-- After which licence the sweep goes on to fold holders anew, in the order of the primary key. No row:
-- it is done.
CREATE TABLE permit.holder_folding (
    after_tenant  uuid NOT NULL,
    after_licence uuid NOT NULL
);
INSERT INTO permit.holder_folding (after_tenant, after_licence)
VALUES ('00000000-0000-0000-0000-000000000000', '00000000-0000-0000-0000-000000000000');
GRANT SELECT, UPDATE, DELETE ON permit.holder_folding TO permit_doors;
