"""The published certificates, also when the root's private key lies elsewhere."""

from datetime import datetime

import pytest
from cryptography import x509
from fastapi.testclient import TestClient
from pki import FAST

from keys.hierarchy import load_trust_anchors
from service.config import Settings
from service.pki.enrol import make_hierarchy


@pytest.fixture(autouse=True)
def root_key_offline(settings: Settings, now: datetime) -> None:
    make_hierarchy(settings, root_passphrase="akar tunggang beringin", now=now, cost=FAST)
    (settings.effective_keys_folder / "root.key.json").unlink()


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
