"""Who signs in and who may do what: tenants, users, API keys, sessions, the audit log."""
