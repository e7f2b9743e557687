"""Two persons: without two custodians nothing is done, and what was done all the same is found."""

from datetime import datetime, timedelta
from pathlib import Path

import cases
import pytest
from cryptography import x509
from pki import FAST
from sqlalchemy import Engine
from sqlmodel import select

from keys.approval import approve, approver, certificate_statement
from keys.errors import KeyNotFound, WrongPassphrase
from keys.hierarchy import renew_root, sign_root_list
from keys.revocation import Revocation
from keys.software import SoftwareKeyStore
from service.accounts.access import SERVICE
from service.database import reading, transaction
from service.pki.approve import (
    CustodianNotInForce,
    TwoCustodiansNeeded,
    find_unapproved,
    open_custodians,
    our_roots,
)
from service.pki.models import CertificateApproval, IssuedCertificate
from service.pki.register import (
    HOLD,
    record_approval,
    record_folder,
    reinstate_certificate,
    revoke_certificate,
)


@pytest.fixture
def keys(tmp_path: Path, now: datetime) -> SoftwareKeyStore:
    """A hierarchy with an official whom two custodians approved, and another whom they did not."""
    keys = cases.make_keys(tmp_path / "keys", now - timedelta(days=1))
    cases.enrol_alone(keys, "lain", now)
    return keys


@pytest.fixture
def recorded(engine: Engine, keys: SoftwareKeyStore, now: datetime) -> Engine:
    with transaction(engine) as session:
        record_folder(session, keys, now)
    return engine


def unapproved(engine: Engine) -> list[tuple[str, str]]:
    with reading(engine) as session:
        return [(each.key_name, each.act) for each in find_unapproved(session)]


def test_what_was_enrolled_without_custodians_is_found(recorded: Engine) -> None:
    assert unapproved(recorded) == [("official-lain", "issued")]
    with reading(recorded) as session:
        acts = session.exec(select(CertificateApproval.act)).all()
    assert sorted(acts) == ["ceremony", "ceremony", "ceremony", "enrol"]


def test_an_approval_proves_its_own_certificate_alone(recorded: Engine) -> None:
    with transaction(recorded) as session:
        by_name = {row.key_name: row.serial for row in session.exec(select(IssuedCertificate))}
        statement = select(CertificateApproval).where(CertificateApproval.act == "enrol")
        session.exec(statement).one().serial = by_name["official-lain"]
    assert sorted(unapproved(recorded)) == [("official-head", "issued"), ("official-lain", "issued")]


def test_an_altered_approval_proves_nothing(recorded: Engine) -> None:
    with transaction(recorded) as session:
        for approval in session.exec(select(CertificateApproval)):
            approval.document = approval.document.replace("Canting TSA", "Canting ASA")
    assert ("tsa", "issued") in unapproved(recorded)
    with transaction(recorded) as session:
        for approval in session.exec(select(CertificateApproval)):
            approval.document = "{}"
    assert {name for name, _ in unapproved(recorded)} >= {"issuing", "tsa", "seal", "official-head"}


def test_a_reinstatement_needs_an_approval_of_its_own(
    recorded: Engine, keys: SoftwareKeyStore, now: datetime
) -> None:
    def suspend_and_reinstate(moment: datetime) -> None:
        with transaction(recorded) as session:
            revoke_certificate(session, "seal", reason=HOLD, actor=SERVICE, now=moment)
            approve = approver("reinstate", open_custodians(session, keys, cases.CUSTODIANS, moment), moment)
            reinstate_certificate(session, "seal", approve=approve, actor=SERVICE, now=moment)

    suspend_and_reinstate(now)
    suspend_and_reinstate(now + timedelta(hours=1))
    assert ("seal", "reinstated") not in unapproved(recorded)
    with transaction(recorded) as session:
        statement = select(CertificateApproval).where(CertificateApproval.act == "reinstate")
        session.delete(session.exec(statement).all()[0])
    assert unapproved(recorded).count(("seal", "reinstated")) == 1


@pytest.mark.parametrize(
    ("names", "refusal"),
    [
        ([], TwoCustodiansNeeded),
        (["custodian-satu"], TwoCustodiansNeeded),
        (["custodian-satu", "seal"], TwoCustodiansNeeded),
        (["custodian-satu", "custodian-tiga"], KeyNotFound),
    ],
)
def test_one_person_alone_approves_nothing(
    recorded: Engine, keys: SoftwareKeyStore, now: datetime, names: list[str], refusal: type[Exception]
) -> None:
    given = {name: cases.PASSPHRASES.get(name, cases.OPERATIONS_PASSPHRASE) for name in names}
    with reading(recorded) as session, pytest.raises(refusal):
        open_custodians(session, keys, given, now)


def test_a_wrong_passphrase_approves_nothing(recorded: Engine, keys: SoftwareKeyStore, now: datetime) -> None:
    given = {**cases.CUSTODIANS, "custodian-dua": cases.CUSTODIANS["custodian-satu"]}
    with reading(recorded) as session, pytest.raises(WrongPassphrase):
        open_custodians(session, keys, given, now)


def test_a_custodian_whom_the_root_revoked_approves_nothing_more(
    recorded: Engine, keys: SoftwareKeyStore, now: datetime
) -> None:
    serial = keys.certificates("custodian-dua")[0].serial_number
    later = now + timedelta(hours=1)
    revocation = Revocation(serial, later, x509.ReasonFlags.key_compromise)
    sign_root_list(keys, cases.ROOT_PASSPHRASE, now=later, revocation=revocation)
    with transaction(recorded) as session:
        record_folder(session, keys, later)
        with pytest.raises(CustodianNotInForce):
            open_custodians(session, keys, cases.CUSTODIANS, later)
    # What they approved before stands.
    assert unapproved(recorded) == [("official-lain", "issued")]


def test_a_custodians_certificate_ends(recorded: Engine, keys: SoftwareKeyStore, now: datetime) -> None:
    end = keys.certificates("custodian-satu")[0].not_valid_after_utc
    with reading(recorded) as session, pytest.raises(CustodianNotInForce):
        open_custodians(session, keys, cases.CUSTODIANS, end + timedelta(seconds=1))


def test_an_empty_register_has_nothing_to_find(engine: Engine) -> None:
    with reading(engine) as session:
        assert find_unapproved(session) == []


@pytest.mark.parametrize("name", ["ocsp-9", "custodian-lain", "authority-lain", "root-3"])
def test_a_name_hides_no_certificate(recorded: Engine, name: str) -> None:
    """What a certificate may do counts: here one that signs documents."""
    with transaction(recorded) as session:
        statement = select(IssuedCertificate).where(IssuedCertificate.key_name == "official-lain")
        session.exec(statement).one().key_name = name
    assert unapproved(recorded) == [(name, "issued")]


@pytest.mark.parametrize("name", ["root-2", "root-lain"])
def test_a_root_of_ones_own_makes_no_custodians(
    recorded: Engine, keys: SoftwareKeyStore, tmp_path: Path, now: datetime, name: str
) -> None:
    """Whoever writes the folder brings a root, has it certify custodians, and lets them approve all."""
    evil = cases.make_keys(tmp_path / "evil", now - timedelta(hours=1))
    (keys.folder / f"{name}.pem").write_bytes((evil.folder / "root.pem").read_bytes())
    own = dict(zip(("custodian-a", "custodian-b"), cases.CUSTODIANS.values(), strict=True))
    for theirs, custodian in zip(cases.CUSTODIANS, own, strict=True):
        private_key = evil._open(theirs, cases.CUSTODIANS[theirs], now)
        keys.add_key(custodian, private_key, evil.certificates(theirs), own[custodian])
    opened = [keys.open_key(custodian, own[custodian], now=now) for custodian in own]
    root = evil.certificates("root")[0]
    approval = approve(certificate_statement("renew", name, root, now=now), opened)
    keys.add_approval(name, approval.to_json())
    with transaction(recorded) as session:
        record_folder(session, keys, now)
        with pytest.raises(CustodianNotInForce):
            open_custodians(session, keys, own, now)
    assert (name, "issued") in unapproved(recorded)


def test_the_next_root_is_approved_by_custodians_of_the_one_before(
    recorded: Engine, keys: SoftwareKeyStore, tmp_path: Path, now: datetime
) -> None:
    with transaction(recorded) as session:
        custodians = open_custodians(session, keys, cases.CUSTODIANS, now)
        medium = SoftwareKeyStore(tmp_path / "medium", FAST)
        renew_root(keys, medium, "sandi akar kedua", now=now, approve=approver("renew", custodians, now))
        record_folder(session, keys, now)
        assert len(our_roots(session)) == 2
    assert unapproved(recorded) == [("official-lain", "issued")]


def test_a_revoked_custodian_cannot_date_an_approval_back(
    recorded: Engine, keys: SoftwareKeyStore, now: datetime
) -> None:
    with reading(recorded) as session:
        custodians = open_custodians(session, keys, cases.CUSTODIANS, now)
    serial = keys.certificates("custodian-dua")[0].serial_number
    revocation = Revocation(serial, now + timedelta(hours=1), x509.ReasonFlags.key_compromise)
    sign_root_list(keys, cases.ROOT_PASSPHRASE, now=now + timedelta(hours=1), revocation=revocation)
    later = now + timedelta(hours=2)
    head = keys.certificates("official-lain")[0]
    with transaction(recorded) as session:
        record_folder(session, keys, later)
        record_approval(session, head, approver("enrol", custodians, now)("official-lain", head), later)
    assert unapproved(recorded) == [("official-lain", "issued")]
