"""What stands between a request and a service: routes, who asks, one problem shape."""
