"""A time-stamping authority of another house: a real HTTP server on loopback that may misbehave."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from asn1crypto import tsp
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from keys import profiles
from keys.algorithms import generate_key, sign_with
from keys.authority import Subject, create_root, issue_certificate
from keys.profiles import Addresses, Profile
from keys.revocation import Revocation, build_crl
from keys.store import OpenKey
from keys.timestamp import respond

Answer = tuple[int, str, bytes]
REPLY = "application/timestamp-reply"


@dataclass
class OtherHouse:
    """The authority's keys, what it has revoked, and how it answers: rightly unless told otherwise."""

    url: str
    clock: Callable[[], datetime]
    root: OpenKey
    issuing: OpenKey
    tsa: OpenKey
    revoked: list[Revocation] = field(default_factory=list)
    misbehave: Callable[["OtherHouse", bytes], Answer] | None = None
    asked: int = 0
    lists_for: timedelta = timedelta(days=7)

    @property
    def pem(self) -> bytes:
        """The certificates by which it is trusted: root and issuing CA."""
        chain = (self.root.certificate, self.issuing.certificate)
        return b"".join(each.public_bytes(Encoding.PEM) for each in chain)

    def certify(self, profile: Profile, issuer: OpenKey, name: str, at: datetime, crl: str) -> OpenKey:
        key = generate_key("p256")
        certificate = issue_certificate(
            profile,
            Subject(name),
            key.public_key(),
            issuer,
            now=at,
            addresses=Addresses(crl=f"{self.url}/{crl}.crl"),
        )
        return OpenKey(profile.name, certificate, (issuer.certificate, *issuer.chain), sign_with(key))

    def stamp(self, query: bytes) -> Answer:
        return 200, REPLY, respond(query, self.tsa, now=self.clock())

    def answer(self, query: bytes) -> Answer:
        self.asked += 1
        return self.misbehave(self, query) if self.misbehave else self.stamp(query)

    def revocation_list(self, path: str) -> bytes:
        issuer, revoked = (self.root, []) if path == "/root.crl" else (self.issuing, self.revoked)
        begin = self.clock().replace(microsecond=0) - timedelta(minutes=1)
        return build_crl(issuer, revoked, number=1, this_update=begin, next_update=begin + self.lists_for)


@contextmanager
def other_house(clock: Callable[[], datetime], name: str = "Luar") -> Iterator[OtherHouse]:
    """Serve an authority whose hierarchy began a day ago."""
    house: OtherHouse

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            query = self.rfile.read(int(self.headers["content-length"]))
            self._send(*house.answer(query))

        def do_GET(self) -> None:
            self._send(200, "application/pkix-crl", house.revocation_list(self.path))

        def _send(self, status: int, media_type: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("content-type", media_type)
            self.send_header("content-length", str(len(body)))
            if status in (301, 302, 307):
                self.send_header("location", "/elsewhere")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_words: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    begins = clock() - timedelta(days=1)
    root = create_root(Subject(f"{name} Root CA (UJI)"), generate_key("p256"), now=begins)
    house = OtherHouse(f"http://127.0.0.1:{server.server_port}", clock, root, root, root)
    house.issuing = house.certify(profiles.ISSUING_CA, root, f"{name} Issuing CA (UJI)", begins, "root")
    house.tsa = house.certify(profiles.TSA, house.issuing, f"{name} TSA (UJI)", begins, "issuing")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield house
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def change_query(**changes: object) -> Callable[[OtherHouse, bytes], Answer]:
    """Answer rightly to another query than was asked."""

    def answer(house: OtherHouse, query: bytes) -> Answer:
        request = tsp.TimeStampReq.load(query)
        for name, value in changes.items():
            request[name] = value
        return house.stamp(request.dump(force=True))

    return answer


def wrong_imprint(house: OtherHouse, query: bytes) -> Answer:
    imprint = {"hash_algorithm": {"algorithm": "sha256"}, "hashed_message": bytes(32)}
    return change_query(message_imprint=imprint)(house, query)


def stall(seconds: float) -> Callable[[OtherHouse, bytes], Answer]:
    def answer(house: OtherHouse, query: bytes) -> Answer:
        time.sleep(seconds)
        return house.stamp(query)

    return answer


def plain(status: int, body: bytes, media_type: str = REPLY) -> Callable[[OtherHouse, bytes], Answer]:
    return lambda _house, _query: (status, media_type, body)


def another_clock(ahead: timedelta) -> Callable[[OtherHouse, bytes], Answer]:
    return lambda house, query: (200, REPLY, respond(query, house.tsa, now=house.clock() + ahead))


def another_key(profile: Profile) -> Callable[[OtherHouse, bytes], Answer]:
    """Stamp with a certificate that is not for stamping, or not of this house."""

    def answer(house: OtherHouse, query: bytes) -> Answer:
        begins = house.clock() - timedelta(hours=1)
        key = house.certify(profile, house.issuing, "Bukan TSA (UJI)", begins, "issuing")
        return 200, REPLY, respond(query, key, now=house.clock())

    return answer


def ended_certificate(house: OtherHouse, query: bytes) -> Answer:
    """Stamp with a certificate that ended two hours ago."""
    brief = replace(profiles.TSA, validity=timedelta(hours=1))
    begins = house.clock() - timedelta(hours=3)
    key = house.certify(brief, house.issuing, "TSA lama (UJI)", begins, "issuing")
    return 200, REPLY, _forced(query, key, key.certificate, house.clock())


def _forced(query: bytes, key: OpenKey, certificate: x509.Certificate, now: datetime) -> bytes:
    class Ageless:
        """The certificate with the bounds taken away that our own authority would check."""

        not_valid_before_utc = now - timedelta(days=1)
        not_valid_after_utc = now + timedelta(days=1)

        def __getattr__(self, name: str) -> object:
            return getattr(certificate, name)

    return respond(query, OpenKey(key.name, Ageless(), key.chain, key.sign), now=now)  # type: ignore[arg-type]
