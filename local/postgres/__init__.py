"""The database's part: an embedded Postgres, or the one that DATABASE_URL names."""
