"""The published PKI, also when the root's private key lies elsewhere."""

import subprocess
from base64 import b64decode, b64encode
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import cases
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from fastapi import FastAPI
from fastapi.testclient import TestClient
from httpx2 import Response
from joserfc.jwk import ECKey
from pki import FAST
from rfc3161_client import TimestampRequestBuilder, VerifierBuilder, decode_timestamp_response
from rfc3161_client.base import HashAlgorithm
from sqlalchemy import Engine

from keys import profiles
from keys.hierarchy import load_trust_anchors, renew_key
from keys.software import SoftwareKeyStore
from service.accounts.access import SERVICE
from service.config import Settings
from service.database import transaction
from service.pki.api import QUERIES
from service.pki.enrol import make_hierarchy
from service.pki.publish import publish_revocation_lists
from service.pki.register import record_folder, revoke_certificate


@pytest.fixture(autouse=True)
def root_key_offline(settings: Settings, tmp_path: Path, now: datetime) -> None:
    passphrases = {"root": "akar tunggang beringin", **cases.CUSTODIANS}
    make_hierarchy(settings, tmp_path / "root", passphrases, now=now, cost=FAST)
    assert not (settings.effective_keys_folder / "root.key.json").exists()


@pytest.mark.parametrize("name", ["root", "issuing", "tsa", "seal"])
def test_a_certificate_is_published_as_pem_and_der(client: TestClient, name: str) -> None:
    pem, der = client.get(f"/pki/{name}.pem"), client.get(f"/pki/{name}.cer")
    assert pem.headers["content-type"] == "application/x-pem-file"
    assert der.headers["content-type"] == "application/pkix-cert"
    assert x509.load_pem_x509_certificate(pem.content) == x509.load_der_x509_certificate(der.content)


def test_the_published_root_is_the_trust_anchor(client: TestClient, settings: Settings) -> None:
    published = x509.load_pem_x509_certificate(client.get("/pki/root.pem").content)
    assert [published] == load_trust_anchors(settings.effective_keys_folder)


def test_a_certificate_that_is_not_there_is_not_found(client: TestClient, settings: Settings) -> None:
    (settings.effective_keys_folder / "root.pem").unlink()
    assert client.get("/pki/root.pem").status_code == 404
    assert client.get("/pki/log.pem").status_code == 404


def test_the_keys_of_offline_tokens_are_published_past_and_revoked_ones_too(
    client: TestClient, settings: Settings, engine: Engine, now: datetime
) -> None:
    keys = SoftwareKeyStore(settings.effective_keys_folder)
    passphrase = settings.operations_passphrase.get_secret_value()
    renew_key(keys, profiles.SEAL, passphrase=passphrase, issuer_passphrase=passphrase, now=now)
    with transaction(engine) as session:
        record_folder(session, keys, now)

    def published() -> list[dict[str, object]]:
        answer = client.get("/pki/seal.jwks")
        assert answer.headers["content-type"] == "application/jwk-set+json"
        assert "max-age=30" in answer.headers["cache-control"]
        found: list[dict[str, object]] = answer.json()["keys"]
        return found

    first, second = published()
    assert first["kid"] != second["kid"]
    for each, name in ((first, "seal"), (second, "seal-2")):
        (certificate, _, root) = (x509.load_der_x509_certificate(b64decode(text)) for text in each["x5c"])  # type: ignore[attr-defined]
        assert certificate == keys.certificates(name)[0]
        assert root == keys.certificates("root")[0]
        jwk = ECKey.import_key({name: each[name] for name in ("kty", "crv", "x", "y")})
        assert jwk.public_key == certificate.public_key()
        assert "revoked_at" not in each
    with transaction(engine) as session:
        revoke_certificate(session, "seal", reason=x509.ReasonFlags.key_compromise, actor=SERVICE, now=now)
    first, second = published()
    assert first["revoked_at"] == int(now.timestamp())
    assert "revoked_at" not in second


def test_a_revocation_list_is_published_with_its_type_and_validator(
    client: TestClient, settings: Settings, engine: Engine, now: datetime
) -> None:
    assert client.get("/pki/issuing.crl").status_code == 404
    keys = SoftwareKeyStore(settings.effective_keys_folder)
    publish_revocation_lists(engine, keys, settings.operations_passphrase.get_secret_value(), now)

    for name in ("root", "issuing"):
        answer = client.get(f"/pki/{name}.crl")
        assert answer.headers["content-type"] == "application/pkix-crl"
        assert x509.load_der_x509_crl(answer.content).is_signature_valid(
            keys.certificates(name)[0].public_key()  # type: ignore[arg-type]
        )
        again = client.get(f"/pki/{name}.crl", headers={"if-none-match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert "max-age=30" in answer.headers["cache-control"]


def test_certificates_say_where_their_list_is(settings: Settings) -> None:
    (seal, issuing, _) = SoftwareKeyStore(settings.effective_keys_folder).certificates("seal")
    for certificate, issuer in ((seal, "issuing"), (issuing, "root")):
        points = certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
        (name,) = points[0].full_name or ()
        assert name.value == f"{settings.base_url}/pki/{issuer}.crl"


def test_openssl_accepts_a_time_stamp(client: TestClient, settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(b"surat")
    query = ["openssl", "ts", "-query", "-data", "data", "-sha256", "-cert", "-out", "query.tsq"]
    subprocess.run(query, cwd=tmp_path, check=True, capture_output=True)

    def ask(body: bytes, media_type: str = "application/timestamp-query") -> Response:
        return client.post("/pki/tsa", content=body, headers={"content-type": media_type})

    answer = ask((tmp_path / "query.tsq").read_bytes())
    assert answer.headers["content-type"] == "application/timestamp-reply"
    (tmp_path / "reply.tsr").write_bytes(answer.content)
    anchors = settings.effective_keys_folder / "root.pem"
    verify = ["openssl", "ts", "-verify", "-data", "data", "-in", "reply.tsr", "-CAfile", str(anchors)]
    subprocess.run(verify, cwd=tmp_path, check=True, capture_output=True)

    assert ask(b"nonsense").status_code == 200, "the reply itself rejects a query"
    assert ask(b"x", "text/plain").json()["code"] == "not_a_query"
    assert ask(bytes(20_000)).json()["code"] == "query_too_large"


def test_without_keys_there_is_no_time_stamp(client: TestClient, app: FastAPI) -> None:
    app.state.operations_keys = None
    answer = client.post("/pki/tsa", content=b"x", headers={"content-type": "application/timestamp-query"})
    assert answer.status_code == 503


def test_a_revocation_is_told_by_ocsp_at_once(
    client: TestClient, settings: Settings, engine: Engine, now: datetime, tmp_path: Path
) -> None:
    keys = SoftwareKeyStore(settings.effective_keys_folder)
    passphrase = settings.operations_passphrase.get_secret_value()
    seal, issuing, _ = keys.certificates("seal")
    request = ocsp.OCSPRequestBuilder().add_certificate(seal, issuing, SHA1()).build()
    query = request.public_bytes(Encoding.DER)

    def ask() -> ocsp.OCSPResponse:
        answer = client.post("/pki/ocsp", content=query, headers={"content-type": "application/ocsp-request"})
        assert answer.headers["content-type"] == "application/ocsp-response"
        by_address = client.get(f"/pki/ocsp/{quote(b64encode(query).decode(), safe='')}")
        told = ocsp.load_der_ocsp_response(by_address.content)
        assert told.response_status is ocsp.load_der_ocsp_response(answer.content).response_status
        (tmp_path / "answer.der").write_bytes(answer.content)
        return told

    for path in settings.effective_keys_folder.glob("ocsp.*"):
        path.unlink()
    assert ask().response_status is ocsp.OCSPResponseStatus.UNAUTHORIZED, "no responder is certified yet"
    publish_revocation_lists(engine, keys, passphrase, now)
    assert ask().certificate_status is ocsp.OCSPCertStatus.GOOD
    with transaction(engine) as session:
        revoke_certificate(session, "seal", reason=x509.ReasonFlags.key_compromise, actor=SERVICE, now=now)
    assert ask().certificate_status is ocsp.OCSPCertStatus.REVOKED
    folder = keys.folder
    files = ["-issuer", folder / "issuing.pem", "-cert", folder / "seal.pem", "-CAfile", folder / "root.pem"]
    verify = ["openssl", "ocsp", "-respin", tmp_path / "answer.der", *files, "-no_nonce"]
    verify += ["-verify_other", folder / "issuing.pem", "-validity_period", "999999999"]
    told = subprocess.run(verify, capture_output=True, text=True)
    assert "Response verify OK" in told.stderr
    assert "seal.pem: revoked" in told.stdout


def test_a_responder_is_certified_anew_before_its_end(
    client: TestClient, settings: Settings, engine: Engine, now: datetime
) -> None:
    keys = SoftwareKeyStore(settings.effective_keys_folder)
    passphrase = settings.operations_passphrase.get_secret_value()

    def end_after(days: int) -> datetime:
        publish_revocation_lists(engine, keys, passphrase, now + timedelta(days=days))
        return keys.certificates("ocsp")[0].not_valid_after_utc

    first = end_after(0)
    assert end_after(20) == first
    assert end_after(31) > first


def test_an_independent_client_accepts_a_time_stamp(client: TestClient, settings: Settings) -> None:
    (root,) = load_trust_anchors(settings.effective_keys_folder)
    query = TimestampRequestBuilder().data(b"surat").hash_algorithm(HashAlgorithm.SHA256).nonce(nonce=True)
    request = query.build()
    media_type = {"content-type": "application/timestamp-query"}
    answer = client.post("/pki/tsa", content=request.as_bytes(), headers=media_type)
    verifier = VerifierBuilder.from_request(request).add_root_certificate(root).build()
    assert verifier.verify_message(decode_timestamp_response(answer.content), b"surat")


@pytest.mark.parametrize("path", ["tsa", "ocsp"])
def test_a_flood_of_queries_is_refused(client: TestClient, path: str) -> None:
    media_type = {"tsa": "application/timestamp-query", "ocsp": "application/ocsp-request"}[path]
    seen = [
        client.post(f"/pki/{path}", content=b"x", headers={"content-type": media_type}).status_code
        for _ in range(QUERIES.amount + 1)
    ]
    assert seen == [200] * QUERIES.amount + [429]
