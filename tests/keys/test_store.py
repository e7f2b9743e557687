"""What both key stores do alike: the same tests for files and for a token."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from pki import NOW, throwaway_pki

from keys import profiles
from keys.algorithms import verify_signature
from keys.authority import Subject, issue_certificate
from keys.cms import DATA, sign_content, sign_content_size
from keys.errors import (
    AlgorithmNotSupported,
    KeyAlreadyExists,
    KeyClosed,
    KeyFileDamaged,
    KeyLocked,
    KeyNameNotAllowed,
    KeyNotFound,
    WeakPassphrase,
    WrongPassphrase,
)
from keys.lockout import FREE_FAILURES

PASSPHRASE = "kunci ruang arsip"


def certify(public_key):
    """Have the throwaway issuing CA certify a key; return the certificate and its chain."""
    issuing = throwaway_pki().issuing
    certificate = issue_certificate(profiles.SEAL, Subject("Segel"), public_key, issuing, now=NOW)
    return [certificate, issuing.certificate, *issuing.chain]


def make_seal(store, algorithm="p256"):
    """Make the key `seal` with its certificate, and open it."""
    public_key = store.generate_key("seal", algorithm, PASSPHRASE, now=NOW).public_key
    store.add_certificates("seal", certify(public_key), PASSPHRASE, now=NOW)
    return store.open_key("seal", PASSPHRASE, now=NOW)


def fail(store, times, now=NOW):
    for _ in range(times):
        with pytest.raises(WrongPassphrase):
            store.open_bare_key("seal", "bukan kuncinya", now=now)


@pytest.mark.parametrize(
    "algorithm", ["p256", "p384", "rsa3072", pytest.param("rsa4096", marks=pytest.mark.proof)]
)
def test_twenty_signatures_at_once_are_all_valid(any_store, algorithm):
    seal = make_seal(any_store, algorithm)
    public_key = seal.certificate.public_key()

    with ThreadPoolExecutor(20) as threads:
        contents = [f"izin {number}".encode() for number in range(20)]
        signatures = list(threads.map(seal.sign, contents))

    assert len(signatures) == 20
    for signature, content in zip(signatures, contents, strict=True):
        verify_signature(public_key, signature, content)


@pytest.mark.parametrize("algorithm", ["p256", "p384"])
def test_a_message_fits_the_room_that_was_reckoned_for_it(any_store, algorithm):
    """What r and s need varies by a few bytes from one signature to the next."""
    seal = make_seal(any_store, algorithm)
    sizes = [len(sign_content(seal, DATA, bytes(32))) for _ in range(20)]

    assert max(sizes) <= sign_content_size(seal)


def test_keys_are_opened_and_made_at_once(any_store):
    make_seal(any_store)

    with ThreadPoolExecutor(8) as threads:
        opening = [threads.submit(any_store.open_key, "seal", PASSPHRASE, now=NOW) for _ in range(6)]
        making = threads.submit(any_store.generate_key, "tsa", "p256", PASSPHRASE, now=NOW)

    for key in [*(each.result() for each in opening), making.result()]:
        public_key = key.public_key if key.name == "tsa" else key.certificate.public_key()
        verify_signature(public_key, key.sign(b"data"), b"data")
    assert any_store.names() == ("seal", "tsa")


def test_an_opened_key_brings_its_chain(any_store):
    seal = make_seal(any_store)

    issuing = throwaway_pki().issuing
    assert seal.chain == (issuing.certificate, *issuing.chain)
    assert any_store.certificates("seal") == (seal.certificate, *seal.chain)


def test_a_renewed_certificate_takes_the_place_of_the_old(any_store):
    seal = make_seal(any_store)

    renewed = certify(seal.certificate.public_key())[:2]
    any_store.add_certificates("seal", renewed, PASSPHRASE, now=NOW)

    assert any_store.certificates("seal") == tuple(renewed)


def test_a_bare_key_has_no_certificate(any_store):
    key = any_store.generate_key("seal", "p256", PASSPHRASE, now=NOW)

    verify_signature(key.public_key, key.sign(b"data"), b"data")
    assert any_store.certificates("seal") == ()
    with pytest.raises(KeyFileDamaged):
        any_store.open_key("seal", PASSPHRASE, now=NOW)


def test_another_keys_certificate_is_refused(any_store):
    seal = make_seal(any_store)

    with pytest.raises(KeyFileDamaged):
        any_store.add_certificates("seal", [throwaway_pki().tsa.certificate], PASSPHRASE, now=NOW)

    assert any_store.certificates("seal")[0] == seal.certificate


def test_a_key_is_never_overwritten(any_store):
    seal = make_seal(any_store)

    with pytest.raises(KeyAlreadyExists):
        any_store.generate_key("seal", "p256", PASSPHRASE, now=NOW)

    verify_signature(
        seal.certificate.public_key(), any_store.open_key("seal", PASSPHRASE, now=NOW).sign(b"a"), b"a"
    )


def test_a_wrong_passphrase_is_told_without_a_trace_of_it(any_store):
    make_seal(any_store)

    with pytest.raises(WrongPassphrase) as caught:
        any_store.open_key("seal", "bukan kuncinya", now=NOW)

    assert caught.value.__cause__ is None
    assert "bukan kuncinya" not in f"{caught.value!r}{caught.value}"
    assert "seal" not in str(caught.value)


def test_wrong_passphrases_lock_even_the_right_one_out_for_a_while(any_store):
    make_seal(any_store)
    fail(any_store, FREE_FAILURES + 1)

    with pytest.raises(KeyLocked) as caught:
        any_store.open_key("seal", PASSPHRASE, now=NOW + timedelta(seconds=59))

    assert caught.value.until == NOW + timedelta(minutes=1)
    assert any_store.open_key("seal", PASSPHRASE, now=NOW + timedelta(minutes=1))


def test_the_wait_grows_and_success_resets_it(any_store):
    make_seal(any_store)
    fail(any_store, FREE_FAILURES + 1)
    later = NOW + timedelta(minutes=1)
    fail(any_store, 1, now=later)
    with pytest.raises(KeyLocked) as caught:
        any_store.open_key("seal", PASSPHRASE, now=later)
    assert caught.value.until == later + timedelta(minutes=2)

    any_store.open_key("seal", PASSPHRASE, now=caught.value.until)

    fail(any_store, FREE_FAILURES)
    assert any_store.open_key("seal", PASSPHRASE, now=NOW)


def test_guesses_at_once_are_all_counted(any_store):
    make_seal(any_store)

    def guess(number):
        try:
            any_store.open_key("seal", f"tebakan ke-{number}", now=NOW)
        except (WrongPassphrase, KeyLocked) as error:
            return type(error)

    with ThreadPoolExecutor(10) as threads:
        refusals = list(threads.map(guess, range(20)))

    assert refusals.count(WrongPassphrase) == FREE_FAILURES + 1
    assert refusals.count(KeyLocked) == 20 - FREE_FAILURES - 1


@pytest.mark.parametrize("name", ["../seal", "Seal", "", "a" * 64, "seal.pem", "seal/1"])
def test_a_name_is_a_plain_word(any_store, name):
    with pytest.raises(KeyNameNotAllowed):
        any_store.open_key(name, PASSPHRASE, now=NOW)
    with pytest.raises(KeyNameNotAllowed):
        any_store.generate_key(name, "p256", PASSPHRASE, now=NOW)


def test_a_missing_key_is_told(any_store):
    make_seal(any_store)

    with pytest.raises(KeyNotFound):
        any_store.open_key("tsa", PASSPHRASE, now=NOW)
    with pytest.raises(KeyNotFound):
        any_store.certificates("tsa")


def test_an_unknown_algorithm_makes_no_key(any_store):
    with pytest.raises(AlgorithmNotSupported):
        any_store.generate_key("seal", "rsa1024", PASSPHRASE, now=NOW)

    assert any_store.names() == ()


def test_a_passphrase_is_changed(any_store):
    make_seal(any_store)

    any_store.change_passphrase("seal", PASSPHRASE, "sandi yang baru", now=NOW)

    with pytest.raises(WrongPassphrase):
        any_store.open_key("seal", PASSPHRASE, now=NOW)
    with any_store.open_key("seal", "sandi yang baru", now=NOW) as seal:
        verify_signature(seal.certificate.public_key(), seal.sign(b"data"), b"data")


def test_a_passphrase_is_not_changed_by_a_wrong_one_or_to_a_weak_one(any_store):
    make_seal(any_store).close()

    with pytest.raises(WrongPassphrase):
        any_store.change_passphrase("seal", "bukan kuncinya", "sandi yang baru", now=NOW)
    with pytest.raises(WeakPassphrase):
        any_store.change_passphrase("seal", PASSPHRASE, "123", now=NOW)

    assert any_store.open_key("seal", PASSPHRASE, now=NOW)


def test_a_closed_key_signs_no_more(any_store):
    seal, other = make_seal(any_store), any_store.open_key("seal", PASSPHRASE, now=NOW)

    seal.close()
    seal.close()

    with pytest.raises(KeyClosed):
        seal.sign(b"data")
    verify_signature(other.certificate.public_key(), other.sign(b"data"), b"data")


def test_a_key_is_closed_at_the_end_of_its_act_whatever_happens(any_store):
    make_seal(any_store).close()

    with pytest.raises(ZeroDivisionError), any_store.open_key("seal", PASSPHRASE, now=NOW) as seal:
        raise ZeroDivisionError

    with pytest.raises(KeyClosed):
        seal.sign(b"data")


@pytest.mark.parametrize(
    ("name", "algorithm", "passphrase", "error"),
    [
        ("seal", "p256", PASSPHRASE, KeyAlreadyExists),
        ("tsa", "dsa1024", PASSPHRASE, AlgorithmNotSupported),
        ("TSA", "p256", PASSPHRASE, KeyNameNotAllowed),
        ("tsa", "p256", "salah", (WeakPassphrase, WrongPassphrase)),
    ],
)
def test_what_would_stop_a_key_is_told_before_any_is_made(any_store, name, algorithm, passphrase, error):
    any_store.rehearse_key("seal", "p256", PASSPHRASE, now=NOW)
    make_seal(any_store)

    with pytest.raises(error):
        any_store.rehearse_key(name, algorithm, passphrase, now=NOW)
    assert any_store.names() == ("seal",)
