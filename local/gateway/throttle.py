"""API Gateway's throttling: a token bucket for each route, with the template's rates."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from local.template.intrinsics import Resolver


@dataclass(frozen=True, kw_only=True)
class Limit:
    """Requests a second, and how many may come at once."""

    rate: float
    burst: float


@dataclass(kw_only=True)
class _Bucket:
    tokens: float
    filled_at: float


@dataclass(frozen=True, kw_only=True)
class Throttle:
    """Decides for each request whether its route has room for it."""

    default: Limit | None = None
    routes: Mapping[str, Limit] = field(default_factory=dict[str, Limit])
    clock: Callable[[], float] = time.monotonic
    _buckets: dict[str, _Bucket] = field(default_factory=dict[str, _Bucket])

    def admits(self, route_key: str) -> bool:
        """Take a token of the route's bucket, if there is one."""
        limit = self.routes.get(route_key, self.default)
        if limit is None:
            return True
        now = self.clock()
        bucket = self._buckets.setdefault(route_key, _Bucket(tokens=limit.burst, filled_at=now))
        refilled = bucket.tokens + (now - bucket.filled_at) * limit.rate
        bucket.tokens, bucket.filled_at = min(limit.burst, refilled), now
        if bucket.tokens < 1:
            return False
        bucket.tokens -= 1
        return True


def read_throttle(template: Mapping[str, Any]) -> Throttle:
    """The rates of the template's HTTP API."""
    resolver = Resolver(template)
    for _, resource in resolver.resources("AWS::Serverless::HttpApi"):
        api: Mapping[str, Any] = resolver.resolve(resource["Properties"])
        routes: Mapping[str, Any] = api.get("RouteSettings", {})
        limits = {key: _limit(settings) for key, settings in routes.items()}
        return Throttle(
            default=_limit(api.get("DefaultRouteSettings", {})),
            routes={key: limit for key, limit in limits.items() if limit},
        )
    return Throttle()


def _limit(settings: Mapping[str, Any]) -> Limit | None:
    if "ThrottlingRateLimit" not in settings:
        return None
    rate = float(settings["ThrottlingRateLimit"])
    return Limit(rate=rate, burst=float(settings.get("ThrottlingBurstLimit", rate)))
