"""The SQL of tenants, users, API keys, sessions and the audit log."""
