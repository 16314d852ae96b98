-- Read as they are meant: emails without what nobody sees, and what holders are found by without
-- blanks that only one side has. And whoever waited as long as they were told has their turn.

-- A pair's next attempt, which others who guess at the account cannot take away.
ALTER TABLE permit.login_throttle ADD COLUMN turn_at timestamptz;

-- All holders once more: the sweep goes through them (0012). Another trigger has this one's part.
DROP TRIGGER IF EXISTS fold_turkish_i ON permit.licences;
DELETE FROM permit.holder_folding;
INSERT INTO permit.holder_folding (after_tenant, after_licence)
VALUES ('00000000-0000-0000-0000-000000000000', '00000000-0000-0000-0000-000000000000');

-- After which user the sweep goes on to fold emails anew, the oldest first. No row: it is done.
CREATE TABLE permit.email_folding (
    after_created_at timestamptz NOT NULL,
    after_user       uuid        NOT NULL
);
INSERT INTO permit.email_folding (after_created_at, after_user)
VALUES ('-infinity', '00000000-0000-0000-0000-000000000000');
GRANT SELECT, UPDATE, DELETE ON permit.email_folding TO permit_doors;
