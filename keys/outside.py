"""Asking a signing service of another house over HTTP: JSON there and back, and never a second time.

Whether a request was carried out when its answer is missing decides what may be done next, so every way
of failing says so: `OutcomeUnknown` for an act that may have been done, any other error when it was not.
"""

import time
from contextlib import suppress
from datetime import timedelta
from json import JSONDecodeError, loads
from typing import Any

import httpx2

from keys.errors import (
    OutcomeUnknown,
    OutsideAccessDenied,
    OutsideBusy,
    OutsideError,
    OutsideRefused,
    OutsideUnreachable,
)

LARGEST_ANSWER = 64 * 1024 * 1024
"""Bytes."""
_CONNECT_SECONDS = 10.0
_NOT_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.UnsupportedProtocol)


def open_client(base_url: str, *, seconds: float, auth: tuple[str, str] | None = None) -> httpx2.Client:
    """Open a client of one service, for one act. Each request may take `seconds` in all.

    It follows no redirect, asks no proxy and tries nothing twice; `auth` is for HTTP Basic (RFC 7617).
    """
    return httpx2.Client(
        base_url=base_url,
        auth=auth,
        timeout=httpx2.Timeout(seconds, connect=min(seconds, _CONNECT_SECONDS)),
        trust_env=False,
        follow_redirects=False,
    )


def longest(seconds: float) -> timedelta:
    """Return after what time a request must have ended here: connecting, waiting, and reading the answer."""
    return timedelta(seconds=_CONNECT_SECONDS + 2 * seconds)


def ask(
    client: httpx2.Client, path: str, values: dict[str, Any], *, is_act: bool = False, form: bool = False
) -> tuple[int, dict[str, Any]]:
    """Post values as JSON, or as a form, and return the answer's HTTP status and JSON object.

    `is_act` marks the request that signs. Raises OutcomeUnknown for an act without a whole answer, and for
    a question OutsideUnreachable; OutsideUnreachable when nothing was sent; OutsideBusy (429, 503) and
    OutsideAccessDenied (401, 403). Other refusals are returned, for the caller reads their codes.
    """
    status, raw, failure = _post(client, path, {"data": values} if form else {"json": values})
    # Raised here, where no library's exception is its context: that would carry the request's secrets.
    if failure is not None:
        raise failure if is_act else OutsideUnreachable(str(failure))
    if status in (429, 503):
        raise OutsideBusy(f"The signing service turns requests away (HTTP {status}).")
    if status in (401, 403):
        raise OutsideAccessDenied(f"The signing service does not know this installation (HTTP {status}).")
    body: Any = None
    with suppress(JSONDecodeError, UnicodeDecodeError, RecursionError):
        body = loads(raw)
    if not isinstance(body, dict):
        if is_act and (status < 300 or status >= 500):
            raise OutcomeUnknown(f"The signing service gave no readable answer (HTTP {status}).")
        raise OutsideRefused(f"The signing service gave no readable answer (HTTP {status}).")
    return status, body


def _post(
    client: httpx2.Client, path: str, content: dict[str, Any]
) -> tuple[int, bytes, OutsideError | None]:
    """Send a request once. The third value tells what is missing of its answer."""
    deadline = time.monotonic() + (client.timeout.read or 0)
    parts: list[bytes] = []
    size = 0
    try:
        with client.stream("POST", path, **content) as response:
            for part in response.iter_bytes():
                parts.append(part)
                size += len(part)
                if size > LARGEST_ANSWER or time.monotonic() > deadline:
                    return response.status_code, b"", OutcomeUnknown("The answer was too long in coming.")
            return response.status_code, b"".join(parts), None
    except _NOT_SENT:
        return 0, b"", OutsideUnreachable("The signing service cannot be reached.")
    except httpx2.TimeoutException:
        return 0, b"", OutcomeUnknown("The signing service did not answer in time.")
    except (httpx2.HTTPError, httpx2.StreamError):
        return 0, b"", OutcomeUnknown("The connection to the signing service broke.")
