import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pkcs11
import pytest
import softhsm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from pkcs11 import Attribute, KeyType, ObjectClass
from pki import NOW, throwaway_pki

from keys import pkcs11 as token_store
from keys.errors import KeyClosed, KeyFileDamaged, KeyNotFound, PinLocked, TokenNotFound, WrongPassphrase
from keys.token_objects import write_certificates

PASSPHRASE = "kunci ruang arsip"


@pytest.fixture
def session(token):
    """The token's one session, after the key `seal` was made in it."""
    token.generate_key("seal", "p256", PASSPHRASE, now=NOW)
    return token._log_in(PASSPHRASE, NOW).session


@pytest.mark.parametrize("algorithm", ["p256", "p384", "rsa3072", "rsa4096", "ed25519"])
def test_a_private_key_was_made_in_the_token_and_never_left_it(token, algorithm):
    token.generate_key("other", algorithm, PASSPHRASE, now=NOW)
    key = token._log_in(PASSPHRASE, NOW).session.get_key(ObjectClass.PRIVATE_KEY, label="other")

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


def held_logins():
    return [door.login for door in token_store._doors.values() if door.login]


def private_keys_without_pin(token):
    """What this process can reach of the token's private keys by a session of its own."""
    session = pkcs11.lib(str(token.module)).get_token(token_label=token.token).open()
    try:
        return len(list(session.get_objects({Attribute.CLASS: ObjectClass.PRIVATE_KEY})))
    finally:
        session.close()


def test_nothing_of_the_token_is_usable_after_the_last_key_was_closed(token):
    """The token itself says so: private objects are not even visible to this process."""
    token.generate_key("seal", "p256", PASSPHRASE, now=NOW).close()
    first, second = (token.open_bare_key("seal", PASSPHRASE, now=NOW) for _ in range(2))
    first.close()
    assert second.sign(b"data")
    assert private_keys_without_pin(token) == 1

    second.close()

    assert held_logins() == []
    assert private_keys_without_pin(token) == 0
    with pytest.raises(KeyClosed):
        second.sign(b"data")
    with pytest.raises(WrongPassphrase):
        token.open_bare_key("seal", "bukan kuncinya", now=NOW)
    assert held_logins() == []


@pytest.mark.parametrize("fault", [KeyNotFound, KeyFileDamaged])
def test_a_key_that_does_not_open_leaves_no_login(token, fault):
    token.generate_key("seal", "p256", PASSPHRASE, now=NOW).close()

    with pytest.raises(fault):
        token.open_key("tsa" if fault is KeyNotFound else "seal", PASSPHRASE, now=NOW)

    assert held_logins() == []


def test_a_token_has_one_session(token, session):
    token.open_bare_key("seal", PASSPHRASE, now=NOW)

    assert token._log_in(PASSPHRASE, NOW).session is session
    assert replace(token)._log_in(PASSPHRASE, NOW).session is session


def test_the_first_pin_is_asked_of_the_token(token, session):
    """A new process has no PIN to compare with."""
    softhsm.start_anew()

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


@contextmanager
def taken_away(token, tmp_path):
    """Pull the token out, and plug it in again."""
    (tmp_path / "tokens").rename(tmp_path / "away")
    (tmp_path / "tokens").mkdir()
    yield
    (tmp_path / "tokens").rmdir()
    (tmp_path / "away").rename(tmp_path / "tokens")


def test_a_token_that_is_away_is_told_and_used_again_when_it_is_back(token, tmp_path):
    token.generate_key("seal", "p256", PASSPHRASE, now=NOW).close()
    opened = token.open_bare_key("seal", PASSPHRASE, now=NOW)

    with taken_away(token, tmp_path):
        with pytest.raises(TokenNotFound):
            opened.sign(b"data")
        with pytest.raises(TokenNotFound):
            token.open_bare_key("seal", PASSPHRASE, now=NOW)

    with pytest.raises(TokenNotFound):
        opened.sign(b"data")
    with token.open_bare_key("seal", PASSPHRASE, now=NOW) as again:
        again.public_key.verify(again.sign(b"data"), b"data", ec.ECDSA(SHA256()))


def test_a_lasting_key_logs_in_again_when_its_token_is_back(token, tmp_path):
    lasting = replace(token, is_lasting=True)
    opened = lasting.generate_key("tsa", "p256", PASSPHRASE, now=NOW)

    with taken_away(token, tmp_path), pytest.raises(TokenNotFound):
        opened.sign(b"data")

    opened.public_key.verify(opened.sign(b"data"), b"data", ec.ECDSA(SHA256()))


def test_a_token_made_meanwhile_is_found_and_lasting_keys_go_on(token):
    tsa = replace(token, is_lasting=True).generate_key("tsa", "p256", PASSPHRASE, now=NOW)
    softhsm.make_token("official-kepala", "sandi pejabat")
    official = replace(token, token="official-kepala")

    opened = official.generate_key("official-kepala", "p256", "sandi pejabat", now=NOW)

    assert opened.sign(b"data")
    tsa.public_key.verify(tsa.sign(b"data"), b"data", ec.ECDSA(SHA256()))
    opened.public_key.verify(opened.sign(b"data"), b"data", ec.ECDSA(SHA256()))


def test_a_missing_token_does_not_disturb_a_batch_at_another(token):
    batch = token.generate_key("official-kepala", "p256", PASSPHRASE, now=NOW)

    with pytest.raises(TokenNotFound):
        replace(token, token="lain").open_bare_key("official-lain", PASSPHRASE, now=NOW)

    batch.public_key.verify(batch.sign(b"data"), b"data", ec.ECDSA(SHA256()))


def test_a_session_that_ended_is_never_used_by_its_number(token):
    """After the module started anew, the number of a session and of a key may be another's."""
    old = token.generate_key("old", "p256", PASSPHRASE, now=NOW)
    token_store._start_anew(token.module)
    new = token.generate_key("new", "p256", PASSPHRASE, now=NOW)

    with pytest.raises(TokenNotFound):
        old.sign(b"data")
    assert new.sign(b"data")


SIGN_ELSEWHERE = """
import sys
from datetime import datetime
from pathlib import Path
from keys.pkcs11 import TokenKeyStore
module, passphrase, now = sys.argv[1:]
token = TokenKeyStore(Path(module), "permits")
key = token.open_bare_key("seal", passphrase, now=datetime.fromisoformat(now))
for number in range(10):
    print(key.sign(b"%d" % number).hex())
"""


def test_two_processes_sign_at_one_token_at_once(token):
    key = token.generate_key("seal", "p256", PASSPHRASE, now=NOW)
    command = [sys.executable, "-c", SIGN_ELSEWHERE, str(token.module), PASSPHRASE, NOW.isoformat()]
    others = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    own = [key.sign(b"%d" % number) for number in range(10)]

    for signatures in (
        own,
        *([bytes.fromhex(line) for line in each.communicate()[0].split()] for each in others),
    ):
        assert len(signatures) == 10
        for number, signature in enumerate(signatures):
            key.public_key.verify(signature, b"%d" % number, ec.ECDSA(SHA256()))


def test_names_and_certificates_need_no_pin(token, session):
    softhsm.start_anew()

    assert token.names() == ("seal",)
    assert token.certificates("seal") == ()


def test_an_exchanged_certificate_is_noticed(token, session):
    write_certificates(session, "seal", [throwaway_pki().seal.certificate])

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
