"""A key at a provider of remote signatures signs as one that lies here, with its own algorithm."""

import outside
import pytest
from outside_csc import CscServer
from pki import NOW

from keys import csc
from keys.algorithms import generate_key, verify_signature
from keys.outside import open_client

HOUSE = ("root", "issuing", "stranger", "tsa")


@pytest.mark.parametrize("algorithm", ["p256", "p384", "rsa3072"])
def test_a_key_at_a_provider_signs_the_hash_of_its_algorithm(algorithm):
    known_keys = {**{kind: generate_key() for kind in HOUSE}, "official": generate_key(algorithm)}
    server = CscServer(outside.make_house(NOW, known_keys=known_keys), lambda: NOW)
    with outside.serving(server), open_client(server.url, seconds=5) as client:
        csc.authenticate(client, server.client_id, server.client_secret)
        credential = csc.read_credential(client, server.credential)
        key = csc.open_credential(client, credential, server.pin)

        verify_signature(key.certificate.public_key(), key.sign(b"izin"), b"izin")
    assert len(server.signed) == 1
