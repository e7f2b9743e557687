"""Signing services of other houses, on loopback: they speak the documented protocols, really sign, and fail.

`BsreServer` is BSrE's eSign Client Service, version 2, as public client programmes know it; `CscServer` a
provider of the Cloud Signature Consortium's API, version 2. Each counts what it was asked and keeps what it
signed, and has one `fault` at a time. Their certificates come from a throwaway hierarchy of the national
one's shape, with made-up names.
"""

import base64
import io
import json
import secrets
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pikepdf
from asn1crypto import cms
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign import fields, signers
from pyhanko.sign.timestamps import TimeStamper
from pyhanko_certvalidator.registry import SimpleCertificateStore

from keys.algorithms import PrivateKey, algorithm_of, sign_with
from keys.revocation import build_crl
from keys.store import OpenKey
from keys.timestamp import Timestamper, local_timestamper
from signing.extend import extend_to_lt, newest_certificates

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


Answer = tuple[int, dict[str, Any]]


@dataclass
class BsreServer(Server):
    user: str = "kota"
    password: str = "sandi aplikasi contoh"
    status: str = "ISSUE"
    passphrase: str = PASSPHRASE

    def answer(self, handler: BaseHTTPRequestHandler, body: bytes) -> Answer | None:
        given = handler.headers.get("authorization", "")
        expected = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        if given != f"Basic {expected}":
            return 401, {"error": "Unauthorized", "status_code": 401}
        values = json.loads(body)
        if handler.path == "/api/v2/user/check/status":
            return 200, {"status": self.status, "message": "Status pengguna"}
        if handler.path != "/api/v2/sign/pdf":
            return 404, {"error": "Not Found", "status_code": 404}
        return self._sign(handler, values)

    def _sign(self, handler: BaseHTTPRequestHandler, values: dict[str, Any]) -> Answer | None:
        if self.fault in ("429", "503"):
            return int(self.fault), {"error": "Too Many Requests"}
        if self.fault == "504":
            return 504, {
                "timestamp": "2026-11-23T03:00:00.000+00:00",
                "status": 504,
                "error": "Gateway Timeout",
            }
        if self.fault == "time-out before signing":
            self.wait()
            return None
        if values.get("nik") != NIK and "email" not in values:
            return 400, {"error": "Proses signing gagal : User tidak terdaftar 2011", "status_code": 400}
        if not values.get("file") or values["signatureProperties"][0]["tampilan"] != "INVISIBLE":
            return 400, {"error": "Field wajib tidak lengkap 4014", "status_code": 400}
        if self.fault == "bad data":
            return 400, {"error": "Data tidak sesuai 4015", "status_code": 400}
        if values.get("passphrase") != self.passphrase:
            return 400, {"status_code": 2031, "error": "Passphrase anda salah !!!"}
        pdf = base64.b64decode(values["file"][0])
        if self.fault == "unsigned document":
            return 200, {"time": 12, "file": [base64.b64encode(pdf).decode()]}
        if self.fault == "another document":
            pdf = pdf.replace(b"/Rotate 0", b"/Rotate 90", 1)
        if self.fault == "written on":
            pdf = _written_on(pdf)
        signer = self.house.stranger if self.fault == "another signer" else self.house.official
        document = self.sign_document(pdf, signer)
        self.signed.append(document)
        if self.fault == "time-out after signing":
            self.wait()
            return None
        if self.fault == "cut after signing":
            text = json.dumps({"time": 812, "file": [base64.b64encode(document).decode()]}).encode()
            handler.send_response(200)
            handler.send_header("content-length", str(len(text)))
            handler.end_headers()
            handler.wfile.write(text[: len(text) // 2])
            handler.wfile.flush()
            handler.connection.shutdown(socket.SHUT_RDWR)
            return None
        return 200, {"time": 812, "file": [base64.b64encode(document).decode()]}

    def sign_document(self, pdf: bytes, signer: OpenKey) -> bytes:
        """Sign as B-LT with an approval signature in an invisible field of its own."""
        now = self.clock()
        stamper = _Stamper(local_timestamper(self.house.tsa, lambda: now))
        pdf_signer = signers.PdfSigner(
            signers.PdfSignatureMetadata(
                field_name="Signature1", md_algorithm="sha256", subfilter=fields.SigSeedSubFilter.PADES
            ),
            _Signer(signer, self.house.issuing),
            timestamper=stamper,
            new_field_spec=fields.SigFieldSpec("Signature1", box=None),
        )
        writer = IncrementalPdfFileWriter(io.BytesIO(pdf))
        signed = pdf_signer.sign_pdf(writer, bytes_reserved=32 * 1024)
        certificates_below = [
            each for each in newest_certificates(signed.getvalue()) if each.issuer != each.subject
        ]
        return extend_to_lt(signed.getvalue(), certificates=certificates_below, crls=self.house.crls(now))


@dataclass(frozen=True)
class KeyKind:
    """What a provider says of a kind of key, and how it signs a hash with one."""

    sign_algorithm: str
    hash_algorithm: str
    sign: Callable[[Any, bytes], bytes]
    is_hash_told: bool = False
    """The signature's algorithm does not name the hash, so it must be given beside it."""


_KINDS = {
    "p256": KeyKind(
        "1.2.840.10045.4.3.2",
        "2.16.840.1.101.3.4.2.1",
        lambda key, digest: key.sign(digest, ec.ECDSA(utils.Prehashed(hashes.SHA256()))),
    ),
    "p384": KeyKind(
        "1.2.840.10045.4.3.3",
        "2.16.840.1.101.3.4.2.2",
        lambda key, digest: key.sign(digest, ec.ECDSA(utils.Prehashed(hashes.SHA384()))),
    ),
    "rsa3072": KeyKind(
        "1.2.840.113549.1.1.1",
        "2.16.840.1.101.3.4.2.1",
        lambda key, digest: key.sign(digest, padding.PKCS1v15(), utils.Prehashed(hashes.SHA256())),
        is_hash_told=True,
    ),
}


@dataclass
class CscServer(Server):
    client_id: str = "canting"
    client_secret: str = "rahasia klien contoh"
    credential: str = "KREDENSIAL-CONTOH-1"
    pin: str = PASSPHRASE
    key_status: str = "enabled"
    cert_status: str = "valid"
    tokens: set[str] = field(default_factory=set)
    activations: dict[str, str] = field(default_factory=dict)
    """Signature activation data that is not used yet, with the one hash each is bound to."""

    @property
    def kind(self) -> KeyKind:
        return _KINDS[algorithm_of(self.house.official.certificate.public_key()).name]

    def answer(self, handler: BaseHTTPRequestHandler, body: bytes) -> Answer | None:
        if handler.path == "/oauth2/token":
            form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
            if (form.get("client_id"), form.get("client_secret")) != (self.client_id, self.client_secret):
                return 401, {"error": "invalid_client"}
            token = secrets.token_urlsafe()
            self.tokens.add(token)
            return 200, {"access_token": token, "token_type": "Bearer", "expires_in": 3600}
        if handler.headers.get("authorization", "").removeprefix("Bearer ") not in self.tokens:
            return 401, {"error": "invalid_token"}
        values = json.loads(body)
        method = handler.path.removeprefix("/csc/v2/")
        if method == "info":
            return 200, {
                "specs": "2.0.0.2",
                "name": "Penyedia Contoh",
                "authType": ["oauth2client"],
                "methods": ["credentials/info", "credentials/authorize", "signatures/signHash"],
            }
        if values.get("credentialID") != self.credential:
            return 400, invalid("Invalid parameter credentialID")
        answers = {
            "credentials/info": self._info,
            "credentials/authorize": self._authorize,
            "signatures/signHash": self._sign_hash,
        }
        return answers[method](values)

    def _info(self, _values: dict[str, Any]) -> Answer:
        official = self.house.official
        chain = [official.certificate, *official.chain]
        return 200, {
            "key": {"status": self.key_status, "algo": [self.kind.sign_algorithm]},
            "cert": {
                "status": self.cert_status,
                "certificates": [
                    base64.b64encode(each.public_bytes(Encoding.DER)).decode() for each in chain
                ],
            },
            "auth": {"mode": "explicit", "expression": "PIN", "objects": [{"type": "Password", "id": "PIN"}]},
            "SCAL": "2",
            "multisign": 1,
        }

    def _authorize(self, values: dict[str, Any]) -> Answer:
        if self.fault == "locked":
            return 400, invalid("Credential locked")
        if values["authData"] != [{"id": "PIN", "value": self.pin}]:
            return 400, {
                "error": "invalid_authentication_data",
                "error_description": "The authentication data is invalid",
            }
        if values["hashAlgorithmOID"] != self.kind.hash_algorithm:
            return 400, invalid("Invalid parameter hashAlgorithmOID")
        if values["numSignatures"] != 1 or len(values["hashes"]) != 1:
            return 400, invalid("Numbers of signatures is too high")
        activation = secrets.token_urlsafe()
        self.activations[activation] = values["hashes"][0]
        return 200, {"SAD": activation, "expiresIn": 60}

    def _sign_hash(self, values: dict[str, Any]) -> Answer | None:
        if self.fault == "429":
            return 429, {"error": "too_many_requests"}
        if self.fault == "SAD expired":
            return 400, invalid("SAD expired")
        bound = self.activations.pop(values["SAD"], None)
        if bound is None:
            return 400, invalid("Invalid parameter SAD")
        if values["hashes"] != [bound]:
            return 400, invalid("Hash is not authorized by the SAD")
        if values["signAlgo"] != self.kind.sign_algorithm:
            return 400, invalid("Invalid parameter signAlgo")
        if self.kind.is_hash_told and values.get("hashAlgorithmOID") != self.kind.hash_algorithm:
            return 400, invalid("Invalid parameter hashAlgorithmOID")
        holder = "stranger" if self.fault == "another signer" else "official"
        signature = self.kind.sign(self.house.private_keys[holder], base64.b64decode(bound))
        self.signed.append(signature)
        if self.fault == "time-out after signing":
            self.wait()
            return None
        return 200, {"signatures": [base64.b64encode(signature).decode()]}


class _Signer(signers.Signer):
    """Lets pyHanko sign with an opened key, which its own signer would read and check each time."""

    def __init__(self, key: OpenKey, issuing: OpenKey) -> None:
        store = SimpleCertificateStore()
        store.register_multiple([asn1_of(key.certificate), asn1_of(issuing.certificate)])
        super().__init__(signing_cert=asn1_of(key.certificate), cert_registry=store)
        self.key = key

    async def async_sign_raw(self, data: bytes, digest_algorithm: str, dry_run: bool = False) -> bytes:
        assert digest_algorithm == "sha256"
        return self.key.sign(data)


class _Stamper(TimeStamper):
    """Lets pyHanko stamp with a timestamper of ours."""

    def __init__(self, timestamper: Timestamper) -> None:
        super().__init__()
        self.timestamper = timestamper

    async def async_timestamp(self, message_digest: bytes, md_algorithm: str) -> cms.ContentInfo:
        return cms.ContentInfo.load(self.timestamper.stamp(message_digest))


def asn1_of(certificate: x509.Certificate) -> asn1_x509.Certificate:
    return asn1_x509.Certificate.load(certificate.public_bytes(Encoding.DER))


def _written_on(pdf: bytes) -> bytes:
    """Add a word to the first page, in an update of its own."""
    output = io.BytesIO()
    with pikepdf.open(io.BytesIO(pdf)) as document:
        document.pages[0].contents_add(b"BT ET")
        document.save(output)
    return output.getvalue()


def invalid(description: str) -> dict[str, str]:
    return {"error": "invalid_request", "error_description": description}


@contextmanager
def serving(server: BsreServer | CscServer) -> Iterator[None]:
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
