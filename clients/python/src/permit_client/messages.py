"""What a customer is shown: one sentence for each reason. A program may replace any of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_TABLE = {
    "allowed": "Your licence is valid.",
    "refused": "Your licence does not allow this program to run.",
    "could_not_check": "Your licence could not be checked.",
    "not_believed": "The answer about your licence did not come from our licence server. Please "
    "check your network, or try another one.",
    # allowed
    "allowed.lease": "Your licence is valid. It was last confirmed by our server a while ago.",
    "allowed.GRACE": "Your licence has expired. Please renew it soon.",
    "allowed.EXPIRED": "Your licence has expired. This version goes on working.",
    "allowed.TOO_MANY_DEVICES": "Your licence is in use on more devices than it is made for.",
    # refused
    "refused.NOT_FOUND": "This licence key is not known. Please check it for typing errors.",
    "refused.PRODUCT_MISMATCH": "This licence key belongs to another product.",
    "refused.KEY_REPLACED": "This licence key was replaced by a new one. Please enter the new key.",
    "refused.REVOKED": "This licence was withdrawn. Please contact us.",
    "refused.SUSPENDED": "This licence is suspended. Please contact us.",
    "refused.NOT_STARTED": "This licence has not begun yet.",
    "refused.EXPIRED": "This licence has expired. Please renew it.",
    "refused.VERSION_NOT_COVERED": "This licence does not cover this version of the program. "
    "Please renew it, or install an earlier version.",
    "refused.ENTITLEMENTS_MISSING": "This licence does not include what this program needs.",
    "refused.DEVICE_REQUIRED": "This licence can only be used on a device that names itself.",
    "refused.DEVICE_BLOCKED": "This device is blocked for this licence. Please contact us.",
    "refused.DEVICE_ALREADY_USED": "This device has been used with another licence before.",
    "refused.DEVICE_NOT_ACTIVATED": "This device has not been activated. Please contact us.",
    "refused.TOO_MANY_DEVICES": "This licence is in use on as many devices as it allows. Please "
    "release one of them.",
    # could not check
    "could_not_check.nothing_remembered": "Your licence has not been checked on this device yet.",
    "could_not_check.no_key": "Please enter your licence key.",
    "could_not_check.released": "This device has given its licence back. Please connect to the "
    "internet to use it again.",
    "could_not_check.lease_ended": "Your licence has not been confirmed for too long. Please "
    "connect to the internet.",
    "could_not_check.clock_set_back": "This computer's clock has been set back. Please correct it, "
    "or connect to the internet.",
    "could_not_check.offline": "The licence server cannot be reached. Please check your internet "
    "connection.",
    "could_not_check.timeout": "The licence server did not answer in time. Please try again.",
    "could_not_check.tls": "The connection to the licence server is not trusted. A security "
    "program or a company network may be inspecting it; please ask your administrator.",
    "could_not_check.proxy": "The proxy of this network does not let the licence check through. "
    "Please ask your administrator.",
    "could_not_check.captive_portal": "This network answered with a page of its own. You may have "
    "to sign in to it first.",
    "could_not_check.half_answer": "The connection to the licence server broke. Please try again.",
    "could_not_check.nonsense": "Something between here and the licence server answered in its "
    "place. Please try another network.",
    "could_not_check.too_large": "Something between here and the licence server answered in its "
    "place. Please try another network.",
    "could_not_check.busy": "The licence server is busy. Please try again in a few minutes.",
    "could_not_check.server_error": "The licence server has a problem. Please try again later.",
    "could_not_check.rejected": "The licence server did not understand this program. Please "
    "install a newer version.",
}


def sentence(own: Mapping[str, str], answer: str, why: str) -> str:
    """For this reason; a reason that is not in the table has its answer's."""
    for name in (f"{answer}.{why}", answer):
        found = own.get(name) or _TABLE.get(name)
        if found:
            return found
    raise KeyError(answer)


def check_names(own: Mapping[str, str]) -> None:
    """Raises ValueError where there is no such sentence to replace."""
    unknown = {*own} - {*_TABLE}
    if unknown:
        raise ValueError(f"messages: nothing is called {', '.join(sorted(unknown))}")


def names() -> tuple[str, ...]:
    """What can be replaced."""
    return tuple(_TABLE)
