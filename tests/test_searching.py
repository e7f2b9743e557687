"""A search that cannot find shows nothing: every encoding is planted once."""

import base64

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from searching import found_in, key_spellings, keys_found_in

from keys.algorithms import generate_key


@pytest.mark.parametrize("algorithm", ["p256", "p384", "ed25519", "rsa3072"])
def test_a_private_key_is_found_in_every_encoding(algorithm):
    key = generate_key(algorithm)
    sought = {"key": key_spellings(key)}
    der = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    for shown in (der, pem, repr(pem).encode(), der.hex().encode(), der.hex().upper().encode(), der[::-1]):
        assert keys_found_in(b"before" + shown + b"after", sought) == {"key"}, shown[:40]
    for before in range(3):
        for encode in (base64.b64encode, base64.encodebytes, base64.urlsafe_b64encode):
            assert keys_found_in(encode(bytes(before) + der), sought) == {"key"}


def test_a_scalar_is_found_in_decimal_digits_and_a_public_key_is_none():
    key = generate_key("p256")
    sought = {"key": key_spellings(key)}

    assert keys_found_in(f"d = {key.private_numbers().private_value}", sought) == {"key"}
    assert keys_found_in(str(key.public_key().public_numbers()), sought) == set()


def test_a_passphrase_is_found_however_it_is_written():
    sought = {"passphrase": 'kata "sandi" & lainnya'}

    in_json, in_form = '{"p": "kata \\"sandi\\" & lainnya"}', "p=kata+%22sandi%22+%26+lainnya"
    for shown in (in_json, in_form, 'KATA "sandi" & lainnya'):
        assert found_in(shown, sought) == {"passphrase"}
