-- The policy's seat_ttl when the device last checked. By it a seat lapses also after the policy was
-- changed, or the licence has moved, and it does not come back. Null: node-locked, or not known.
ALTER TABLE permit.devices ADD COLUMN last_seat_ttl interval;
