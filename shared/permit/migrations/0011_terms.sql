-- Whole months are counted from here when a licence is renewed, so that its day of the month survives a
-- shorter month (doors/licences.sql, renewed_term). Null: from starts_at.
ALTER TABLE permit.licences ADD COLUMN term_anchor timestamptz;
