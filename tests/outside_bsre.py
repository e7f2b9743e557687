"""BSrE's eSign Client Service, version 2, as public client programmes know it: see `outside`."""

import base64
import io
import json
import socket
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from typing import Any

import pikepdf
from asn1crypto import cms
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from outside import NIK, PASSPHRASE, Answer, Server
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign import fields, signers
from pyhanko.sign.timestamps import TimeStamper
from pyhanko_certvalidator.registry import SimpleCertificateStore

from keys.store import OpenKey
from keys.timestamp import Timestamper, local_timestamper
from signing.extend import extend_to_lt, newest_certificates


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
            assert b"/Lang (id-ID)" in pdf
            pdf = pdf.replace(b"/Lang (id-ID)", b"/Lang (en-GB)", 1)
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
