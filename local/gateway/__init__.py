"""API Gateway's part: routes, events, throttling and responses."""
