"""Each approval has one live stored document and each document an approval; what does not agree is told."""

from collections.abc import Callable
from datetime import datetime, timedelta

import cases
import pytest
from factories import make_officer
from sqlalchemy import update
from sqlmodel import Session, delete, select

from keys.software import SoftwareKeyStore
from service.applications.models import Application
from service.applications.workflow import State
from service.database import reading, transaction
from service.mail import MailMessage
from service.permits.issue import Workshop
from service.permits.models import DocumentVersion, Kind, Permit, Status, StatusChange
from service.permits.reconcile import ALARM, Discrepancy, find_discrepancies, last_reconciliation, reconcile
from service.pki.register import record_folder


@pytest.fixture
def issued(workshop: Workshop, city: cases.City, key_store: SoftwareKeyStore, now: datetime) -> cases.Issued:
    with transaction(workshop.engine) as session:
        case = cases.bring_to_signature(session, city, now)
    signer = key_store.open_key("official-head", cases.OFFICIAL_PASSPHRASE, now=now)
    return cases.issue_case(workshop, city, case, signer, now)


def found_after(workshop: Workshop, now: datetime, change: Callable[..., object]) -> list[Discrepancy]:
    with transaction(workshop.engine) as session:
        change(session)
    return find_discrepancies(workshop.engine, workshop.storage, now + timedelta(hours=2))[1]


def path_of(workshop: Workshop, issued: cases.Issued) -> tuple[str, object]:
    with reading(workshop.engine) as session:
        sha256 = session.exec(select(DocumentVersion.sha256)).one()
    assert workshop.storage.folder is not None
    return sha256, workshop.storage.folder / "documents" / sha256


def test_an_issued_permit_agrees(workshop: Workshop, issued: cases.Issued, now: datetime) -> None:
    assert find_discrepancies(workshop.engine, workshop.storage, now) == (1, [])
    assert reconcile(workshop.engine, workshop.storage, now) == []
    with reading(workshop.engine) as session:
        outcome = last_reconciliation(session)
        assert outcome is not None
        assert (outcome.documents, outcome.count, outcome.finished_at) == (1, 0, now)
        assert session.exec(select(MailMessage).where(MailMessage.template == ALARM)).all() == []


def test_a_document_that_is_gone_or_altered_is_named(
    workshop: Workshop, issued: cases.Issued, now: datetime
) -> None:
    sha256, path = path_of(workshop, issued)
    path.chmod(0o600)  # type: ignore[attr-defined]
    path.write_bytes(issued.pdf + b"\n")  # type: ignore[attr-defined]
    assert found_after(workshop, now, lambda _: None) == [Discrepancy("document_altered", sha256)]
    path.unlink()  # type: ignore[attr-defined]
    assert found_after(workshop, now, lambda _: None) == [Discrepancy("document_missing", sha256)]


def test_a_permit_without_a_document_is_named(
    workshop: Workshop, issued: cases.Issued, now: datetime
) -> None:
    found = found_after(workshop, now, lambda session: session.execute(delete(DocumentVersion)))
    assert found == [Discrepancy("no_document", issued.permit.number)]


def test_a_decision_without_a_permit_is_named(
    workshop: Workshop, issued: cases.Issued, now: datetime
) -> None:
    def remove(session: object) -> None:
        for table in (StatusChange, DocumentVersion, Permit):
            session.execute(delete(table))  # type: ignore[attr-defined]

    with reading(workshop.engine) as session:
        receipt = session.exec(
            select(Application.receipt_number).where(Application.id == issued.permit.application_id)
        ).one()
    assert found_after(workshop, now, remove) == [Discrepancy("no_permit", str(receipt))]


@pytest.mark.parametrize(
    "change",
    [
        lambda session: session.execute(update(Application).values(state=State.UNDER_REVIEW)),
        lambda session: session.execute(update(Application).values(state=State.REJECTED)),
        lambda session: session.execute(update(Permit).values(kind=Kind.REJECTION_LETTER)),
    ],
)
def test_a_permit_that_nobody_approved_is_named(
    workshop: Workshop, issued: cases.Issued, now: datetime, change: Callable[..., object]
) -> None:
    assert found_after(workshop, now, change) == [Discrepancy("no_decision", issued.permit.number)]


def test_a_signature_that_was_never_finished_is_named_after_an_hour(
    workshop: Workshop, issued: cases.Issued, now: datetime
) -> None:
    def unfinish(session: object) -> None:
        session.execute(update(Permit).values(status=Status.ISSUING, created_at=now))  # type: ignore[attr-defined]

    assert found_after(workshop, now, unfinish) == [Discrepancy("unfinished", issued.permit.number)]
    assert find_discrepancies(workshop.engine, workshop.storage, now + timedelta(minutes=30)) == (1, [])


def test_a_certificate_that_two_custodians_did_not_approve_is_named(
    workshop: Workshop, key_store: SoftwareKeyStore, issued: cases.Issued, now: datetime
) -> None:
    def record(session: Session) -> None:
        cases.enrol_alone(key_store, "lain", now)
        record_folder(session, key_store, now)

    assert found_after(workshop, now, record) == [Discrepancy("certificate_issued", "official-lain")]


def test_administrators_are_mailed_what_was_found(
    workshop: Workshop, issued: cases.Issued, now: datetime
) -> None:
    with transaction(workshop.engine) as session:
        administrator = make_officer(session, ["administrator"])
        session.execute(update(Application).values(state=State.UNDER_REVIEW))
    assert len(reconcile(workshop.engine, workshop.storage, now)) == 1
    with reading(workshop.engine) as session:
        mail = session.exec(select(MailMessage).where(MailMessage.template == ALARM)).one()
        assert mail.to_address == administrator.email
        assert mail.context["findings"] == [{"problem": "no_decision", "subject": issued.permit.number}]
        outcome = last_reconciliation(session)
        assert outcome is not None
        assert outcome.count == 1


def test_a_succession_that_does_not_agree_is_named(
    workshop: Workshop, city: cases.City, issued: cases.Issued, key_store: SoftwareKeyStore, now: datetime
) -> None:
    with transaction(workshop.engine) as session:
        case = cases.bring_to_signature(session, city, now, request="change", continues=issued.permit)
    signer = key_store.open_key("official-head", cases.OFFICIAL_PASSPHRASE, now=now)
    successor = cases.issue_case(workshop, city, case, signer, now).permit
    later = now + timedelta(days=2)
    assert found_after(workshop, later, lambda _: None) == []
    of_earlier, of_later = Permit.id == issued.permit.id, Permit.id == successor.id

    def found_with(*changes: object) -> list[Discrepancy]:
        return found_after(workshop, later, lambda session: [session.execute(each) for each in changes])

    still = update(Permit).where(of_earlier).values(status=Status.ACTIVE)  # type: ignore[arg-type]
    assert found_with(still) == [Discrepancy("not_superseded", issued.permit.number)]
    for values in ({"continues_id": successor.id}, {"continues_id": None}):
        wrong = update(Permit).where(of_later).values(**values)  # type: ignore[arg-type]
        assert found_with(wrong) == [Discrepancy("wrong_earlier_permit", successor.number)]
    again = update(Permit).where(of_earlier).values(status=Status.SUPERSEDED)  # type: ignore[arg-type]
    assert Discrepancy("no_successor", issued.permit.number) in found_with(again)
