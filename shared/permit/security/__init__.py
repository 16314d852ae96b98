"""Keys, tokens, passwords and their rules: pure, no database, the time comes in as a parameter."""
