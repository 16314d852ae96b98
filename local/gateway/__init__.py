"""In API Gateway's place: routes, events, throttling and responses."""
