-- What a device's proofs have promised, and which version of the program it runs.
ALTER TABLE permit.policies
    ADD COLUMN max_new_devices integer CHECK (max_new_devices >= 0);  -- in an hour; null: by its seats

ALTER TABLE permit.devices
    ADD COLUMN version text,                    -- of the vendor's program
    -- Of floating seats. When the last of the proofs that it was given ends; null: not known.
    ADD COLUMN leased_until timestamptz,
    -- The key's holder gave the seat back, and it is free from then on; null: they did not.
    ADD COLUMN seat_free_at timestamptz,
    -- Until then its proofs are short: its former fingerprint has a proof that is still good.
    ADD COLUMN short_leases_until timestamptz;
