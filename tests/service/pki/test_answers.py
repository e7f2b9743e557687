"""OCSP answers signed beforehand and live, and how soon others see a revocation: judged by OpenSSL."""

import subprocess
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from datetime import timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import quote

import cases
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from fastapi import FastAPI
from fastapi.testclient import TestClient
from httpx2 import Response
from pki import FAST
from sqlalchemy import Engine

from keys.software import SoftwareKeyStore
from service import clock, jobs
from service.accounts.access import SERVICE
from service.config import Settings
from service.database import transaction
from service.operations import build_jobs
from service.pki import answers
from service.pki.answers import Responders, presign_answers
from service.pki.enrol import make_hierarchy
from service.pki.publish import publish_revocation_lists
from service.pki.register import HOLD, revoke_certificate

Ask = Callable[..., Response]


@pytest.fixture
def keys(settings: Settings, engine: Engine, tmp_path: Path) -> SoftwareKeyStore:
    """A hierarchy of today, whose lists and answers the hourly job has published."""
    moment = clock.now() - timedelta(minutes=1)
    passphrases = {"root": cases.ROOT_PASSPHRASE, **cases.CUSTODIANS}
    keys = make_hierarchy(settings, tmp_path / "root", passphrases, now=moment, cost=FAST)
    publish_revocation_lists(engine, keys, settings.operations_passphrase.get_secret_value(), clock.now())
    return keys


def query_about(keys: SoftwareKeyStore, *, nonce: bytes | None = None, digest: type = SHA1) -> bytes:
    seal, issuing, _ = keys.certificates("seal")
    builder = ocsp.OCSPRequestBuilder().add_certificate(seal, issuing, digest())
    if nonce:
        builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
    return builder.build().public_bytes(Encoding.DER)


@pytest.fixture
def ask(client: TestClient) -> Ask:
    def ask(query: bytes, **headers: str) -> Response:
        return client.get(f"/pki/ocsp/{quote(b64encode(query).decode(), safe='')}", headers=headers)

    return ask


def revoke(engine: Engine, reason: x509.ReasonFlags = x509.ReasonFlags.key_compromise) -> None:
    with transaction(engine) as session:
        revoke_certificate(session, "seal", reason=reason, actor=SERVICE, now=clock.now())


def openssl_says(tmp_path: Path, keys: SoftwareKeyStore, answer: bytes, digest: type = SHA1) -> str:
    """Have OpenSSL judge an answer up to the root; return what it says of the seal."""
    (tmp_path / "answer.der").write_bytes(answer)
    folder = keys.folder
    command = ["openssl", "ocsp", "-respin", tmp_path / "answer.der", "-no_nonce"]
    command += [f"-{digest.name}", "-issuer", folder / "issuing.pem", "-cert", folder / "seal.pem"]
    command += ["-CAfile", folder / "root.pem", "-verify_other", folder / "issuing.pem"]
    told = subprocess.run(command, capture_output=True, text=True)
    assert "Response verify OK" in told.stderr
    return told.stdout


@pytest.mark.parametrize("digest", [SHA1, SHA256])
def test_an_answer_without_a_nonce_is_signed_beforehand_and_may_be_cached(
    ask: Ask, keys: SoftwareKeyStore, app: FastAPI, tmp_path: Path, digest: type
) -> None:
    first = ask(query_about(keys, digest=digest))
    again = ask(query_about(keys, digest=digest))
    assert first.content == again.content
    assert app.state.responders.opened == {}, "no key was opened for it"
    assert "seal.pem: good" in openssl_says(tmp_path, keys, first.content, digest)

    assert first.headers["content-type"] == "application/ocsp-response"
    assert first.headers["cache-control"] == "public, max-age=30, must-revalidate"
    told = ocsp.load_der_ocsp_response(first.content)
    assert parsedate_to_datetime(first.headers["last-modified"]) == told.this_update_utc
    unchanged = ask(query_about(keys, digest=digest), **{"if-none-match": first.headers["etag"]})
    assert (unchanged.status_code, unchanged.content) == (304, b"")


def test_a_query_with_a_nonce_is_answered_live(ask: Ask, keys: SoftwareKeyStore, app: FastAPI) -> None:
    nonce = bytes(range(32))
    told = ocsp.load_der_ocsp_response(ask(query_about(keys, nonce=nonce)).content)
    assert told.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce == nonce
    assert list(app.state.responders.opened) == ["issuing"]


def test_what_was_signed_beforehand_gives_way_to_a_revocation_at_once(
    ask: Ask, keys: SoftwareKeyStore, engine: Engine, settings: Settings, tmp_path: Path
) -> None:
    good = ask(query_about(keys))
    revoke(engine, HOLD)
    live = ask(query_about(keys), **{"if-none-match": good.headers["etag"]})
    assert "seal.pem: revoked" in openssl_says(tmp_path, keys, live.content)

    publish_revocation_lists(engine, keys, settings.operations_passphrase.get_secret_value(), clock.now())
    held = ask(query_about(keys))
    assert held.content == ask(query_about(keys)).content
    assert "Reason: certificateHold" in openssl_says(tmp_path, keys, held.content)


def test_answers_are_signed_anew_hourly_and_never_served_beyond_their_end(
    ask: Ask, keys: SoftwareKeyStore, engine: Engine, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    responders = Responders(keys, settings.operations_passphrase)
    now = clock.now()

    def sign(after: timedelta) -> int:
        return presign_answers(engine, "issuing", responders, now + after)

    assert sign(timedelta(minutes=10)) == 0
    assert sign(timedelta(hours=1)) == 6, "TSA, seal and responder, by each of the two hashes"
    monkeypatch.setattr("service.pki.api.now", lambda: now + timedelta(hours=1) + answers.BEFOREHAND_VALIDITY)
    late = ocsp.load_der_ocsp_response(ask(query_about(keys)).content)
    assert late.this_update_utc >= (now + answers.BEFOREHAND_VALIDITY).replace(microsecond=0)


@pytest.fixture
def worker(app: FastAPI, engine: Engine, keys: SoftwareKeyStore) -> Iterator[None]:
    """A real worker with every job of the service."""
    jobs.launch(engine.url.render_as_string(hide_password=False), build_jobs(app))
    yield
    jobs.shutdown(grace_seconds=0)


@pytest.mark.usefixtures("worker")
def test_a_revocation_is_seen_in_ocsp_and_list_within_a_minute(
    client: TestClient, ask: Ask, keys: SoftwareKeyStore, engine: Engine, tmp_path: Path
) -> None:
    """Also by who asked just before and keeps the answers for as long as they allow."""
    serial = keys.certificates("seal")[0].serial_number

    def is_listed() -> bool:
        crl = x509.load_der_x509_crl(client.get("/pki/issuing.crl").content)
        return crl.get_revoked_certificate_by_serial_number(serial) is not None

    kept = int(client.get("/pki/issuing.crl").headers["cache-control"].split("max-age=")[1].split(",")[0])
    assert not is_listed()
    begin = time.monotonic()
    revoke(engine)
    assert "seal.pem: revoked" in openssl_says(tmp_path, keys, ask(query_about(keys)).content)
    while not is_listed():
        assert time.monotonic() - begin < 60 - kept
        time.sleep(0.05)
    assert time.monotonic() - begin < 60 - kept
    (tmp_path / "list.crl").write_bytes(client.get("/pki/issuing.crl").content)
    verify = ["openssl", "crl", "-inform", "DER", "-in", tmp_path / "list.crl", "-noout", "-text"]
    told = subprocess.run(
        [*verify, "-CAfile", keys.folder / "issuing.pem"], capture_output=True, text=True, check=True
    )
    assert "verify OK" in told.stderr
    assert f"{serial:X}" in told.stdout
    assert "Delta CRL Indicator" not in told.stdout
    assert "Freshest CRL" not in told.stdout
