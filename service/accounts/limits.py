"""How often one network address, or one account, may try: counted in memory, for each process.

This slows guessing and floods down; what must hold over restarts and processes (an account's lock)
stands in the account's row.
"""

import hashlib
import ipaddress
import math
import time
from typing import Annotated

from fastapi import Depends, Request
from limits import RateLimitItem, RateLimitItemPerHour, RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from service.errors import TooManyRequests

FAILURES_OF_ADDRESS = RateLimitItemPerMinute(50, 10, namespace="failures-address")
FAILURES_OF_ACCOUNT = RateLimitItemPerMinute(20, 15, namespace="failures-account")
MAILS_OF_ADDRESS = RateLimitItemPerHour(60, namespace="mails-address")
MAILS_OF_ACCOUNT = RateLimitItemPerHour(6, namespace="mails-account")


class Limiter:
    """Counts attempts by network address and by account, whether or not the account exists."""

    def __init__(self) -> None:
        self._window = MovingWindowRateLimiter(MemoryStorage())

    def check(self, item: RateLimitItem, who: str) -> None:
        """Refuse who has used up the allowance. Raises TooManyRequests."""
        if not self._window.test(item, _key(who)):
            raise self._refusal(item, who)

    def count(self, item: RateLimitItem, who: str) -> None:
        """Count one attempt and refuse it when it is one too many. Raises TooManyRequests."""
        if not self._window.hit(item, _key(who)):
            raise self._refusal(item, who)

    def note(self, item: RateLimitItem, who: str) -> None:
        """Count one attempt that has been answered already."""
        self._window.hit(item, _key(who))

    def _refusal(self, item: RateLimitItem, who: str) -> TooManyRequests:
        reset_at = self._window.get_window_stats(item, _key(who)).reset_time
        return TooManyRequests(retry_after=max(1, math.ceil(reset_at - time.time())))


def _key(who: str) -> str:
    """Addresses and names are kept as hashes, and at one length however long they were typed."""
    return hashlib.sha256(who.encode()).hexdigest()


async def limiter_of(request: Request) -> Limiter:
    """Return the application's limiter, made at its first use."""
    state = request.app.state
    if not hasattr(state, "limiter"):
        state.limiter = Limiter()
    limiter: Limiter = state.limiter
    return limiter


LimiterDep = Annotated[Limiter, Depends(limiter_of)]


def client_address(request: Request) -> str:
    """Return the network address that asked; behind proxies, the one the outermost trusted proxy saw.

    An IPv6 customer holds a whole /64, so that is what counts as one.
    """
    address = request.client.host if request.client else ""
    hops = request.app.state.settings.trusted_proxy_hops
    forwarded = [part.strip() for part in ",".join(request.headers.getlist("x-forwarded-for")).split(",")]
    if hops and len(forwarded) >= hops:
        address = forwarded[-hops]
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(ipaddress.IPv6Network((parsed, 64), strict=False))
    return str(parsed)
