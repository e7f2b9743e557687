from dataclasses import replace
from pathlib import Path

import pkcs11
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from pkcs11 import Attribute, KeyType, ObjectClass
from pki import NOW, throwaway_pki

from keys import pkcs11 as token_store
from keys.errors import KeyFileDamaged, PinLocked, TokenNotFound, WrongPassphrase

PASSPHRASE = "kunci ruang arsip"


@pytest.fixture
def session(token):
    """The token's one session, after the key `seal` was made in it."""
    token.generate_key("seal", "p256", PASSPHRASE, now=NOW)
    return token._log_in(PASSPHRASE, NOW)


def start_anew(token):
    """Forget the login, as a process does that ends."""
    token_store._logins.clear()
    pkcs11.lib(str(token.module)).reinitialize()


@pytest.mark.parametrize("algorithm", ["p256", "p384", "rsa3072"])
def test_a_private_key_was_made_in_the_token_and_never_left_it(token, algorithm):
    token.generate_key("other", algorithm, PASSPHRASE, now=NOW)
    key = token._log_in(PASSPHRASE, NOW).get_key(ObjectClass.PRIVATE_KEY, label="other")

    for attribute in ("LOCAL", "PRIVATE", "SENSITIVE", "ALWAYS_SENSITIVE", "NEVER_EXTRACTABLE", "SIGN"):
        assert key[Attribute[attribute]] is True
    for attribute in ("EXTRACTABLE", "DECRYPT", "UNWRAP"):
        assert key[Attribute[attribute]] is False


def test_no_way_leads_a_private_key_out_of_the_token(session):
    key = session.get_key(ObjectClass.PRIVATE_KEY, label="seal")
    wrapping = session.generate_key(KeyType.AES, 256, store=False)

    with pytest.raises(pkcs11.AttributeSensitive):
        key[Attribute.VALUE]
    with pytest.raises(pkcs11.AttributeReadOnly):
        key[Attribute.EXTRACTABLE] = True
    with pytest.raises(pkcs11.AttributeReadOnly):
        key[Attribute.SENSITIVE] = False
    with pytest.raises(pkcs11.AttributeReadOnly):
        key.copy({Attribute.EXTRACTABLE: True})
    with pytest.raises(pkcs11.KeyUnextractable):
        wrapping.wrap_key(key)


def test_a_token_has_one_session(token, session):
    token.open_bare_key("seal", PASSPHRASE, now=NOW)

    assert token._log_in(PASSPHRASE, NOW) is session
    assert replace(token)._log_in(PASSPHRASE, NOW) is session


def test_the_first_pin_is_asked_of_the_token(token, session):
    """A new process has no PIN to compare with."""
    start_anew(token)

    with pytest.raises(WrongPassphrase):
        token.open_bare_key("seal", "bukan kuncinya", now=NOW)
    assert token.open_bare_key("seal", PASSPHRASE, now=NOW).sign(b"data")


def test_a_token_that_comes_back_is_used_again(token):
    """A key that was open when its token went is refused; opened anew, it signs."""
    opened = token.generate_key("seal", "p256", PASSPHRASE, now=NOW)
    pkcs11.lib(str(token.module)).reinitialize()

    with pytest.raises(TokenNotFound):
        opened.sign(b"data")

    signature = token.open_bare_key("seal", PASSPHRASE, now=NOW).sign(b"data")
    opened.public_key.verify(signature, b"data", ec.ECDSA(SHA256()))


def test_names_and_certificates_need_no_pin(token, session):
    start_anew(token)

    assert token.names() == ("seal",)
    assert token.certificates("seal") == ()


def test_an_exchanged_certificate_is_noticed(token, session):
    token_store._write_certificates(session, "seal", [throwaway_pki().seal.certificate])

    with pytest.raises(KeyFileDamaged):
        token.open_key("seal", PASSPHRASE, now=NOW)


def test_two_keys_of_one_name_are_told(token, session):
    session.get_key(ObjectClass.PUBLIC_KEY, label="seal").copy({Attribute.LABEL: "seal"})

    with pytest.raises(KeyFileDamaged):
        token.open_bare_key("seal", PASSPHRASE, now=NOW)


def test_a_missing_token_or_library_is_told(token):
    with pytest.raises(TokenNotFound, match="NoSuchToken"):
        replace(token, token="lain").open_bare_key("seal", PASSPHRASE, now=NOW)
    with pytest.raises(TokenNotFound):
        replace(token, module=Path("/tidak/ada.so")).names()


def test_a_locked_pin_is_told(token):
    """SoftHSM never locks a PIN, so the module's answer is given here by hand."""
    with pytest.raises(PinLocked), token._told():
        raise pkcs11.PinLocked
