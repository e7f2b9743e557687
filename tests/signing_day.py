"""One day of the keys over HTTP: a permit, a time stamp, a revocation list, an OCSP answer, a checkpoint."""

import base64
import subprocess
from pathlib import Path

import cases
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from factories import sign_in
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import Engine
from sqlmodel import select

from keys.hierarchy import load_trust_anchors
from service import clock
from service.accounts.models import User
from service.config import Settings
from service.database import reading, transaction
from service.pki.publish import publish_revocation_lists
from service.pki.store import open_store
from service.transparency.log import log_origin, log_size
from signing.validate import ValidationReport, validate_document

HEAD_ROLE = "department_head"


def sign_a_case(
    client: TestClient, engine: Engine, settings: Settings, city: cases.City, *passphrases: str
) -> list[tuple[int, dict[str, object]]]:
    """Have the head sign a new case, with each passphrase in turn; return the answers."""
    with transaction(engine) as session:
        case = cases.bring_to_signature(session, city, clock.now())
        head = session.exec(select(User).where(User.id == city.head.id)).one()
    sign_in(client, head)
    base = f"/api/v1/cases/{case.id}"
    digest = client.get(f"{base}/document").json()["digest"]
    answers = [
        client.post(f"{base}/signature", json={"digest": digest, "passphrase": each}) for each in passphrases
    ]
    return [(answer.status_code, answer.json()) for answer in answers]


def validate_issued(client: TestClient, settings: Settings, code: object) -> ValidationReport:
    pdf = client.get(f"/api/v1/permits/{code}/document").content
    return validate_document(pdf, load_trust_anchors(settings.effective_keys_folder), at=clock.now())


def check_published_pki(
    client: TestClient, app: FastAPI, engine: Engine, settings: Settings, tmp: Path
) -> None:
    """Every other key of the service at its work, each judged by OpenSSL or cryptography."""
    passphrase = settings.operations_passphrase.get_secret_value()
    assert publish_revocation_lists(engine, open_store(settings), passphrase, clock.now()) == 1
    issuing = x509.load_der_x509_certificate(client.get("/pki/issuing.cer").content)
    crl = x509.load_der_x509_crl(client.get("/pki/issuing.crl").content)
    assert crl.is_signature_valid(issuing.public_key())  # type: ignore[arg-type]
    stamp(client, settings, tmp)
    seal = x509.load_der_x509_certificate(client.get("/pki/seal.cer").content)
    query = ocsp.OCSPRequestBuilder().add_certificate(seal, issuing, SHA1()).build()
    told = client.post(
        "/pki/ocsp",
        content=query.public_bytes(Encoding.DER),
        headers={"content-type": "application/ocsp-request"},
    )
    answer = ocsp.load_der_ocsp_response(told.content)
    assert answer.certificate_status is ocsp.OCSPCertStatus.GOOD
    check_checkpoint(client, app, engine, settings)


def stamp(client: TestClient, settings: Settings, tmp: Path) -> None:
    """Have a digest stamped, and OpenSSL verify the reply."""
    (tmp / "data").write_bytes(b"isi")
    query = ["openssl", "ts", "-query", "-data", "data", "-sha256", "-cert", "-out", "query.tsq"]
    subprocess.run(query, cwd=tmp, check=True, capture_output=True)
    reply = client.post(
        "/pki/tsa",
        content=(tmp / "query.tsq").read_bytes(),
        headers={"content-type": "application/timestamp-query"},
    )
    (tmp / "reply.tsr").write_bytes(reply.content)
    untrusted = client.get("/pki/issuing.pem").content
    (tmp / "issuing.pem").write_bytes(untrusted)
    verify = ["openssl", "ts", "-verify", "-data", "data", "-in", "reply.tsr", "-untrusted", "issuing.pem"]
    anchors = str(settings.effective_keys_folder / "root.pem")
    told = subprocess.run([*verify, "-CAfile", anchors], cwd=tmp, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr


def check_checkpoint(client: TestClient, app: FastAPI, engine: Engine, settings: Settings) -> None:
    body, _, signed = client.get("/log/checkpoint").text.partition("\n\n")
    with reading(engine) as session:
        assert body.split("\n")[:2] == [log_origin(settings.base_url), str(log_size(session))]
    signature = base64.b64decode(signed.split()[-1])[4:]
    app.state.operations_keys.log.public_key.verify(signature, f"{body}\n".encode())
