"""The limiter: who counts as one, and what is told when it is enough."""

import pytest
from fastapi import FastAPI, Request
from limits import RateLimitItemPerMinute

from service.accounts.limits import Limiter, client_address
from service.config import Settings
from service.errors import TooManyRequests

THREE = RateLimitItemPerMinute(3)


def test_the_fourth_attempt_is_refused_with_the_time_to_wait() -> None:
    limiter = Limiter()
    for _ in range(3):
        limiter.count(THREE, "192.0.2.1")
    with pytest.raises(TooManyRequests) as refusal:
        limiter.count(THREE, "192.0.2.1")
    assert 0 < (refusal.value.retry_after or 0) <= 61
    with pytest.raises(TooManyRequests):
        limiter.check(THREE, "192.0.2.1")
    limiter.check(THREE, "192.0.2.2")


@pytest.mark.parametrize(
    ("hops", "forwarded", "address"),
    [
        (0, "203.0.113.9", "192.0.2.1"),
        (1, "203.0.113.9, 198.51.100.7", "198.51.100.7"),
        (2, "203.0.113.9, 198.51.100.7", "203.0.113.9"),
        (2, "198.51.100.7", "192.0.2.1"),
        (1, "2001:db8::1:2:3:4", "2001:db8::/64"),
    ],
)
def test_only_trusted_proxies_are_believed(
    settings: Settings, hops: int, forwarded: str, address: str
) -> None:
    app = FastAPI()
    app.state.settings = settings.model_copy(update={"trusted_proxy_hops": hops})
    headers = [(b"x-forwarded-for", forwarded.encode())]
    request = Request({"type": "http", "app": app, "client": ("192.0.2.1", 1), "headers": headers})
    assert client_address(request) == address
