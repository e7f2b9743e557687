"""Signing services of other houses, on loopback: they speak the documented protocols, really sign, and fail.

`outside_bsre` and `outside_csc` hold the two. Each counts what it was asked and keeps what it signed, and has
one `fault` at a time. Their certificates come from a throwaway hierarchy of the national one's shape, with
made-up names.
"""

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from keys.algorithms import PrivateKey, sign_with
from keys.revocation import build_crl
from keys.store import OpenKey

PASSPHRASE = "kanari frasa sandi TTE 90210"
NIK = "3375014708900000"
HOLDER = "CONTOH PEJABAT"
DAY = timedelta(days=1)


@dataclass(frozen=True)
class House:
    """A hierarchy with an official and a time-stamping authority, its private keys in memory."""

    root: OpenKey
    issuing: OpenKey
    official: OpenKey
    stranger: OpenKey
    tsa: OpenKey
    private_keys: dict[str, PrivateKey]

    def write_trust(self, folder: Path, now: datetime, *, lists: bool = True) -> Path:
        """Write what an operator keeps: the root, and fresh revocation lists."""
        folder.mkdir(exist_ok=True)
        (folder / "akar.pem").write_bytes(self.root.certificate.public_bytes(Encoding.PEM))
        if lists:
            for name, crl in zip(("akar", "penerbit"), self.crls(now), strict=True):
                (folder / f"{name}.crl").write_bytes(crl)
        return folder

    def crls(self, now: datetime) -> list[bytes]:
        return [
            build_crl(each, (), number=1, this_update=now - timedelta(minutes=5), next_update=now + 30 * DAY)
            for each in (self.root, self.issuing)
        ]


def make_house(
    begins: datetime,
    organisation: str = "Lembaga Sandi Contoh",
    known_keys: Mapping[str, PrivateKey] | None = None,
) -> House:
    """Make a root, an issuing authority, officials and a time-stamping authority: RSA and SHA-256."""
    private_keys: dict[str, PrivateKey] = dict(known_keys or {})

    def certify(name: str, organisation: str, issuer: OpenKey | None, years: int, kind: str) -> OpenKey:
        if kind not in private_keys:
            private_keys[kind] = rsa.generate_private_key(public_exponent=65537, key_size=3072)
        key = private_keys[kind]
        subject = x509.Name(
            [
                x509.NameAttribute(NameOID.COUNTRY_NAME, "ID"),
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation),
                x509.NameAttribute(NameOID.COMMON_NAME, name),
            ]
        )
        signing_key = private_keys["root" if kind in ("root", "issuing") else "issuing"]
        is_authority = kind in ("root", "issuing")
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer.certificate.subject if issuer else subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begins)
            .not_valid_after(begins + years * 365 * DAY)
            .add_extension(x509.BasicConstraints(is_authority, None), critical=True)
            .add_extension(
                x509.KeyUsage(
                    digital_signature=not is_authority,
                    content_commitment=not is_authority,
                    key_encipherment=False,
                    data_encipherment=False,
                    key_agreement=False,
                    key_cert_sign=is_authority,
                    crl_sign=is_authority,
                    encipher_only=False,
                    decipher_only=False,
                ),
                critical=True,
            )
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        )
        if kind == "tsa":
            usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING])
            builder = builder.add_extension(usage, critical=True)
        certificate = builder.sign(signing_key, hashes.SHA256())
        chain = (issuer.certificate, *issuer.chain) if issuer else ()
        return OpenKey(kind, certificate, chain, sign_with(key))

    root = certify("Akar Contoh DS G1 (UJI)", "Kementerian Contoh", None, 20, "root")
    issuing = certify("CA Contoh DS G1 (UJI)", organisation, root, 10, "issuing")
    return House(
        root,
        issuing,
        certify(HOLDER, "Pemerintah Kota Contoh", issuing, 2, "official"),
        certify("ORANG LAIN", "Pemerintah Kota Contoh", issuing, 2, "stranger"),
        certify("Stempel Waktu Contoh", organisation, issuing, 5, "tsa"),
        private_keys,
    )


Answer = tuple[int, dict[str, Any]]
"""A status and a JSON body."""


@dataclass
class Server:
    """What both have in common: counted requests, one fault, and an address."""

    house: House
    clock: Callable[[], datetime]
    fault: str = ""
    patience: float = 30
    """How long a fault that lets the asker wait does so, at most, in seconds."""
    asked: Counter[str] = field(default_factory=Counter)
    signed: list[bytes] = field(default_factory=list)
    url: str = ""
    released: threading.Event = field(default_factory=threading.Event)

    def wait(self) -> None:
        """Let the asker wait for longer than it will."""
        self.released.wait(self.patience)

    def answer(self, handler: BaseHTTPRequestHandler, body: bytes) -> Answer | None:
        """Answer a request; None: the connection ends without one."""
        raise NotImplementedError


@contextmanager
def serving(server: Server) -> Iterator[None]:
    """Serve on a free port of loopback until the end."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            server.asked[self.path] += 1
            answer = server.answer(self, body)
            if answer is None:
                self.close_connection = True
                return
            status, values = answer
            text = json.dumps(values).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_values: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        http.handle_error = lambda *_: None  # type: ignore[method-assign]
        server.url = f"http://127.0.0.1:{http.server_port}"
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield
        finally:
            server.released.set()
            http.shutdown()
            thread.join()
