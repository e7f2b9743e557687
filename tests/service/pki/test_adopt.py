"""Another authority's certificate for a key of ours: checked, approved by two, and used."""

import subprocess
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import cases
import pytest
import softhsm
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from pki import FAST, issue, make_pki
from sqlalchemy import Engine

from keys import profiles
from keys.algorithms import generate_key, verify_signature
from keys.authority import Subject, create_root, issue_certificate
from keys.errors import WrongPassphrase
from keys.profiles import OFFICIAL
from keys.request import build_request
from keys.revocation import build_crl
from keys.software import SoftwareKeyStore
from keys.store import KeyStore, OpenKey
from service.config import Settings
from service.database import reading, transaction
from service.pki.adopt import ChainRefused, adopt_certificate, adopt_list, check_chain
from service.pki.approve import find_unapproved, open_custodians
from service.pki.register import complete_chains, current_lists, record_folder, trust_anchors
from service.pki.store import open_store

NAME = "official-head"


@pytest.fixture
def keys(tmp_path: Path, now: datetime) -> SoftwareKeyStore:
    return cases.make_keys(tmp_path / "keys", now - timedelta(days=1))


@pytest.fixture
def national(keys: SoftwareKeyStore, now: datetime) -> list[OpenKey]:
    return make_national(keys, now)


def make_national(keys: KeyStore, now: datetime) -> list[OpenKey]:
    """Make another house's root, trusted here, and its issuing authority."""
    begins = now - timedelta(days=1)
    root = create_root(Subject("Akar Nasional Contoh"), generate_key(), now=begins)
    issuing = issue(profiles.ISSUING_CA, "Penerbit Nasional Contoh", root, begins)
    keys.publish_certificates("root-national", [root.certificate])
    return [root, issuing]


def certify(keys: KeyStore, issuer: OpenKey, now: datetime, **changes: object) -> x509.Certificate:
    public_key = keys.certificates(NAME)[0].public_key()
    profile = replace(OFFICIAL, **changes)  # type: ignore[arg-type]
    return issue_certificate(profile, Subject("Dra. Contoh Pejabat"), public_key, issuer, now=now)  # type: ignore[arg-type]


def adopt(engine: Engine, keys: KeyStore, given: list[x509.Certificate], now: datetime) -> None:
    with transaction(engine) as session:
        record_folder(session, keys, now)
        custodians = open_custodians(session, keys, cases.CUSTODIANS, now)
        passphrase = cases.OFFICIAL_PASSPHRASE
        adopt_certificate(session, keys, NAME, given, passphrase=passphrase, custodians=custodians, now=now)


def test_a_request_proves_the_key_and_names_its_holder(keys: SoftwareKeyStore, now: datetime) -> None:
    key = keys.open_bare_key(NAME, cases.OFFICIAL_PASSPHRASE, now=now)
    der = build_request(key, Subject("Dra. Contoh Pejabat", title="Kepala Dinas"))

    request = x509.load_der_x509_csr(der)
    assert request.is_signature_valid
    assert request.public_key() == key.public_key
    assert "Kepala Dinas" in request.subject.rfc4514_string()
    told = subprocess.run(
        ["openssl", "req", "-inform", "DER", "-verify", "-noout"], input=der, capture_output=True
    )
    assert b"verify OK" in told.stdout + told.stderr


def test_a_chain_is_taken_in_any_order_and_used(
    engine: Engine, keys: SoftwareKeyStore, national: list[OpenKey], now: datetime
) -> None:
    root, issuing = national
    leaf = certify(keys, issuing, now)

    adopt(engine, keys, [issuing.certificate, leaf], now)

    opened = keys.open_key(NAME, cases.OFFICIAL_PASSPHRASE, now=now)
    assert (opened.certificate, *opened.chain) == (leaf, issuing.certificate, root.certificate)
    with reading(engine) as session:
        assert root.certificate in trust_anchors(session)
        assert complete_chains(session, [leaf]) == [leaf, issuing.certificate]
        assert find_unapproved(session) == []


def test_a_key_in_a_token_takes_another_authoritys_certificate(
    engine: Engine, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, now: datetime
) -> None:
    monkeypatch.setenv("SOFTHSM2_CONF", str(softhsm.configure(tmp_path / "hsm")))
    softhsm.make_token("canting", cases.OPERATIONS_PASSPHRASE)
    softhsm.make_token(NAME, cases.OFFICIAL_PASSPHRASE)
    softhsm.start_anew()
    keys = open_store(settings.model_copy(update={"token_module": softhsm.MODULE}), FAST)
    cases.fill_keys(keys, SoftwareKeyStore(tmp_path / "root", FAST), now - timedelta(days=1))
    root, issuing = make_national(keys, now)
    leaf = certify(keys, issuing, now)

    adopt(engine, keys, [leaf, issuing.certificate], now)

    with keys.open_key(NAME, cases.OFFICIAL_PASSPHRASE, now=now) as opened:
        assert (opened.certificate, *opened.chain) == (leaf, issuing.certificate, root.certificate)
        verify_signature(leaf.public_key(), opened.sign(b"izin"), b"izin")


def test_lists_of_the_other_authority_are_recorded(
    engine: Engine, keys: SoftwareKeyStore, national: list[OpenKey], now: datetime
) -> None:
    issuing = national[1]
    adopt(engine, keys, [certify(keys, issuing, now), issuing.certificate], now)
    until = now + timedelta(days=1)
    lists = [build_crl(each, [], number=1, this_update=now, next_update=until) for each in national]
    foreign = build_crl(make_pki(begins=now).issuing, [], number=1, this_update=now, next_update=until)

    with transaction(engine) as session:
        assert adopt_list(session, keys, lists[0], now) == "root-national"
        assert adopt_list(session, keys, lists[1], now).startswith("authority-")
        for der, moment in ((foreign, now), (lists[0], until + timedelta(seconds=1)), (b"", now)):
            with pytest.raises(ChainRefused):
                adopt_list(session, keys, der, moment)
        assert set(lists) <= set(current_lists(session))


Refused = Callable[[SoftwareKeyStore, list[OpenKey], datetime], list[x509.Certificate]]

REFUSED: dict[str, Refused] = {
    "no certificate of this key": lambda keys, national, now: [make_pki(begins=now).official.certificate],
    "does not lead to a trust anchor": lambda keys, national, now: [
        certify(keys, make_pki(begins=now).issuing, now)
    ],
    "not for signing documents": lambda keys, national, now: [
        certify(keys, national[1], now, key_usage=frozenset({"digital_signature"})),
        national[1].certificate,
    ],
    "not valid now": lambda keys, national, now: [
        certify(keys, national[1], now + timedelta(days=2)),
        national[1].certificate,
    ],
}


@pytest.mark.parametrize("reason", REFUSED)
def test_a_chain_that_will_not_do_is_refused(
    engine: Engine, keys: SoftwareKeyStore, national: list[OpenKey], now: datetime, reason: str
) -> None:
    before = keys.certificates(NAME)

    with pytest.raises(ChainRefused) as caught:
        adopt(engine, keys, REFUSED[reason](keys, national, now), now)

    assert reason in caught.value.message("en")
    assert keys.certificates(NAME) == before


def test_an_issuer_without_authority_is_refused(
    keys: SoftwareKeyStore, national: list[OpenKey], now: datetime
) -> None:
    """What our own lint would never sign, another house may have: an official's certificate as an issuer."""
    issuing = national[1]
    private_key = generate_key()
    below = issue_certificate(OFFICIAL, Subject("Bukan Penerbit"), private_key.public_key(), issuing, now=now)
    public_key = keys.certificates(NAME)[0].public_key()
    usage = below.extensions.get_extension_for_class(x509.KeyUsage).value
    leaf = (
        x509.CertificateBuilder()
        .subject_name(Subject("Siapa").as_name())
        .issuer_name(below.subject)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .add_extension(usage, critical=True)
        .sign(private_key, SHA256())
    )
    given = [leaf, below, issuing.certificate]

    with pytest.raises(ChainRefused) as caught:
        check_chain(given, public_key, [national[0].certificate], now)
    assert "no authority to issue" in caught.value.message("en")


def test_the_holder_must_agree(
    engine: Engine, keys: SoftwareKeyStore, national: list[OpenKey], now: datetime
) -> None:
    given = [certify(keys, national[1], now), national[1].certificate]
    with transaction(engine) as session:
        record_folder(session, keys, now)
        custodians = open_custodians(session, keys, cases.CUSTODIANS, now)
        with pytest.raises(WrongPassphrase):
            adopt_certificate(
                session, keys, NAME, given, passphrase="bukan kuncinya", custodians=custodians, now=now
            )


def test_a_root_that_nobody_approved_is_found(
    engine: Engine, keys: SoftwareKeyStore, national: list[OpenKey], now: datetime
) -> None:
    with transaction(engine) as session:
        record_folder(session, keys, now)
        found = {each.key_name for each in find_unapproved(session)}
    assert found == {"root-national"}
