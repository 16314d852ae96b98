-- First answers are kept for seven days from now on; what the version before keeps, or kept, for one.
ALTER TABLE permit.idempotent_answers
    ADD COLUMN kept_until timestamptz NOT NULL DEFAULT now() + interval '24 hours';
-- Not concurrently: the table has the requests of one day.
CREATE INDEX idempotent_answers_end ON permit.idempotent_answers (kept_until);
