"""The local database: an embedded Postgres, or the one that DATABASE_URL names."""
