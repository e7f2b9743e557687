"""Who stamps the time: authorities of other houses and our own, in the order of the setting (RFC 3161 §3.4).

The first that gives a time stamp which a verification would accept is used. One that fails is left alone
for a while, so that it does not slow each issuance. Only this module and the job beside it call out.
"""

import secrets
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import httpx2
import structlog
from cryptography import x509
from sqlalchemy import Engine

from keys.errors import KeysError
from keys.timestamp import Timestamper
from keys.timestamp_client import build_query, read_answer
from service.config import LOCAL_TSA, TsaAddress
from service.database import reading
from service.pki.register import current_lists
from signing.errors import SigningError, TimestampUnavailable
from signing.time_stamps import verify_time_stamp
from signing.trust import TIME_ANCHOR_FILES

TOKEN_SIZE = 8 * 1024
"""Bytes that a signature keeps free for a token of another house."""
LARGEST_ANSWER = 16 * 1024
"""Bytes."""
TIMEOUT = httpx2.Timeout(2.0, connect=1.0)
LONGEST_EXCHANGE = 3.0
"""Seconds for a whole answer, however slowly its parts come."""
FIRST_PAUSE, LONGEST_PAUSE = 30.0, 600.0
"""Seconds that an authority is left alone after it failed, doubled each time."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class OutsideTsa:
    """An authority of another house, with the certificates up to the root that it is trusted by."""

    name: str
    url: str
    policy: str | None
    certificates: tuple[x509.Certificate, ...]


@dataclass(frozen=True, slots=True)
class Source:
    """One place in the order: our own authority or another's, with its circuit breaker."""

    name: str
    timestamper: Timestamper
    breaker: "Breaker"


@dataclass(slots=True)
class Breaker:
    """Leaves alone what failed: one attempt after each pause, and none by anybody else meanwhile."""

    failures: int = 0
    closed_until: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def admits(self) -> bool:
        with self.lock:
            moment = time.monotonic()
            if moment < self.closed_until:
                return False
            if self.failures:
                self.closed_until = moment + LONGEST_EXCHANGE
            return True

    def note(self, *, failed: bool) -> None:
        with self.lock:
            self.failures = self.failures + 1 if failed else 0
            pause = min(FIRST_PAUSE * 2 ** max(self.failures - 1, 0), LONGEST_PAUSE)
            self.closed_until = time.monotonic() + pause if failed else 0.0


def trusted_authorities(keys_folder: Path) -> dict[str, tuple[x509.Certificate, ...]]:
    """Read the certificates of other houses' authorities, past ones too, by the authority's name."""
    files = sorted(keys_folder.glob(TIME_ANCHOR_FILES))
    return {file.stem: tuple(x509.load_pem_x509_certificates(file.read_bytes())) for file in files}


def time_anchors(keys_folder: Path) -> list[x509.Certificate]:
    """Return the certificates that verification trusts for time stamps alone."""
    return [each for certificates in trusted_authorities(keys_folder).values() for each in certificates]


def outside_tsas(addresses: Iterable[TsaAddress], keys_folder: Path) -> list[OutsideTsa]:
    """Return the authorities of other houses; one without its file of certificates is told in the log."""
    trusted, found = trusted_authorities(keys_folder), []
    for each in addresses:
        if each.name in trusted:
            found.append(OutsideTsa(each.name, each.url, each.policy, trusted[each.name]))
        elif each != LOCAL_TSA:
            log.warning("tsa_not_trusted", tsa=each.name, advice=TIME_ANCHOR_FILES)
    return found


def ordered_timestamper(
    addresses: Sequence[TsaAddress],
    keys_folder: Path,
    own: Timestamper,
    *,
    engine: Engine,
    now: Callable[[], datetime],
) -> Timestamper:
    """Return a timestamper that asks the authorities in their order; our own alone when it alone is named."""
    if list(addresses) == [LOCAL_TSA]:
        return own
    known = {each.name: each for each in outside_tsas(addresses, keys_folder)}
    client = open_client()
    sources = [
        Source(
            each.name,
            own if each == LOCAL_TSA else _outside_timestamper(known[each.name], client, engine, now),
            Breaker(),
        )
        for each in addresses
        if each == LOCAL_TSA or each.name in known
    ]
    size = max((each.timestamper.token_size for each in sources), default=0)
    return Timestamper(lambda digest: _stamp_in_order(sources, digest), size)


def _stamp_in_order(sources: Sequence[Source], digest: bytes) -> bytes:
    for source in sources:
        if not source.breaker.admits():
            continue
        try:
            token = source.timestamper.stamp(digest)
        except (KeysError, SigningError, httpx2.HTTPError) as error:
            source.breaker.note(failed=True)
            log.warning("tsa_failed", tsa=source.name, failure=failure_of(error))
        else:
            source.breaker.note(failed=False)
            return token
    raise TimestampUnavailable("No time-stamping authority gave a usable time stamp.")


def failure_of(error: Exception) -> str:
    """Name a failure by its stable code, or its class."""
    return str(getattr(error, "code", None) or type(error).__name__)


def _outside_timestamper(
    tsa: OutsideTsa, client: httpx2.Client, engine: Engine, now: Callable[[], datetime]
) -> Timestamper:
    def stamp(digest: bytes) -> bytes:
        token = request_token(client, tsa, digest, now())
        with reading(engine) as session:
            crls = current_lists(session)
        verify_time_stamp(token, digest, tsa.certificates, crls=crls, at=now())
        return token

    return Timestamper(stamp, TOKEN_SIZE)


def open_client() -> httpx2.Client:
    """Return a client that follows no redirect and asks no proxy that the environment names."""
    return httpx2.Client(timeout=TIMEOUT, follow_redirects=False, trust_env=False)


def request_token(client: httpx2.Client, tsa: OutsideTsa, digest: bytes, now: datetime) -> bytes:
    """Ask an authority for a token (DER) over a SHA-256 digest that states what was asked for.

    Whether the authority is to be believed is not judged yet. Raises TimestampUnavailable,
    TimestampNotGranted or httpx2.HTTPError.
    """
    nonce = secrets.randbits(64)
    query = build_query(digest, nonce=nonce, policy=tsa.policy)
    headers = {"content-type": "application/timestamp-query", "accept": "application/timestamp-reply"}
    request = client.build_request("POST", tsa.url, content=query, headers=headers)
    answer = read_body(client, request, "application/timestamp-reply", LARGEST_ANSWER)
    token = read_answer(answer, digest, nonce=nonce, policy=tsa.policy, now=now)
    if len(token) > TOKEN_SIZE:
        raise TimestampUnavailable("The time stamp is larger than what signatures keep free.")
    return token


def read_body(client: httpx2.Client, request: httpx2.Request, media_type: str, largest: int) -> bytes:
    """Send a request and return the answer's body; an empty `media_type` takes any.

    Raises TimestampUnavailable for a status but 200, another type, or more than `largest` bytes or
    LONGEST_EXCHANGE seconds, and httpx2.HTTPError.
    """
    deadline, body = time.monotonic() + LONGEST_EXCHANGE, b""
    request.headers["accept-encoding"] = "identity"
    answer = client.send(request, stream=True)
    try:
        told = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
        if answer.status_code != 200 or (media_type and told != media_type):
            raise TimestampUnavailable("The answer has another status or type than one that is useful.")
        for part in answer.iter_raw():
            body += part
            if len(body) > largest or time.monotonic() > deadline:
                raise TimestampUnavailable("The answer is too large or comes too slowly.")
    finally:
        answer.close()
    return body
