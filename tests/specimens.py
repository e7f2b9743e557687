"""A document of every kind the service issues: each permit type's sample, and a rejection letter.

They take the service's own way: the catalogue's wording, a mandate, a number, `compose_document`.
"""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import cases
from factories import actor_of
from sqlmodel import Session, select

from service.applications.models import Application, StepVisit
from service.applications.workflow import Action, State
from service.catalogue.models import PermitTypeRevision
from service.catalogue.samples import sample_application
from service.clock import city_date
from service.permits.compose import Printing, compose_document, signature_block
from service.permits.issue import reserve_permit
from service.permits.mandates import mandate_for
from service.permits.models import Permit
from service.permits.numbering import spaced_code
from service.verification.answers import EXAMPLE_PERMIT
from service.verification.receipt import Asked, Statement
from service.verification.receipt_issue import compose_receipt
from signing.document import PermitDocument

PRINTING = Printing("https://izin.contoh.invalid", is_sample=True)
LETTER = "surat-penolakan"
"""The name of the rejection letter among the specimens; the others bear their type's slug."""
REASONS = (
    "STR yang dilampirkan tidak terbaca, sehingga nomornya tidak dapat dicocokkan.\n"
    "Surat keterangan tempat praktik tidak menyebut alamat tempat praktik dan tidak ditandatangani oleh "
    "pimpinan fasilitas pelayanan kesehatan."
)


def reserve_specimens(session: Session, now: datetime) -> dict[str, Permit]:
    """Decide a sample of each permit type, and refuse one; the permits are numbered and frozen, by name."""
    city = cases.make_city(session, now - timedelta(days=3))
    city.head.rank, city.head.nip = "Pembina Utama Muda (IV/c)", "197001011995032000"
    slugs = sorted(permit_type.slug for permit_type in cases.catalogue().permit_types)
    reserved = {slug: _reserve(session, city, slug, now) for slug in slugs}
    return reserved | {LETTER: _reserve(session, city, cases.SLUG, now, reasons=REASONS)}


def verification_receipt() -> PermitDocument:
    """Compose a receipt of a look-up, with the register's facts and an entry of the log."""
    statement = Statement(
        kind="verification_receipt",
        v=1,
        service=PRINTING.base_url,
        checked_at=datetime(2026, 11, 23, 3, 0, tzinfo=UTC),
        asked=Asked(code="0123456789ABCDEFGHJKMNPQRS", on=date(2026, 11, 22)),
        verdict="registered",
        reasons=["registered"],
        policy=None,
        permit=EXAMPLE_PERMIT,
        signature=None,
        log={"checkpoint": "izin.contoh.invalid/log\n2\nAAAA\n", "entries": [{"index": 1}]},
    )
    return compose_receipt(statement, cases.catalogue().city, PRINTING, date(2026, 11, 23))


def _reserve(
    session: Session, city: cases.City, slug: str, now: datetime, reasons: str | None = None
) -> Permit:
    """Put a sample before the head of office, skipping what officers do before, and reserve its permit."""
    # Types that are still drafts are in the catalogue too, and are composed as well.
    revision = session.exec(select(PermitTypeRevision).where(PermitTypeRevision.slug == slug)).one()
    permit_type = revision.permit_type
    sample = sample_application(slug, city_date(now))
    signing = next(step for step in permit_type.steps if step.assigns_number)
    application = Application(
        receipt_number=f"P-20261120-{'LETTER' if reasons else permit_type.code}"[:24],
        applicant_id=city.citizen.id,
        revision_id=revision.id,
        slug=slug,
        request=sample.request,
        applicant_kind=sample.applicant_kind,
        values=sample.values,
        state=State.UNDER_REVIEW,
        step=signing.key,
        outcome="reject" if reasons else "approve",
        created_at=now,
        updated_at=now,
        submitted_at=now,
    )
    session.add(application)
    session.flush()
    if reasons:
        visit = StepVisit(
            application_id=application.id, number=1, step="draft", role="back_office", entered_at=now
        )
        visit.left_at, visit.action, visit.note = now, Action.PROPOSE_REJECTION, reasons
        session.add(visit)
    visit = StepVisit(
        application_id=application.id, number=2, step=signing.key, role=signing.role, entered_at=now
    )
    session.add(visit)
    session.flush()
    signature = signature_block(
        city.head, mandate_for(session, city.head.id, application.slug, city_date(now))
    )
    shown = compose_document(
        session, application, permit_type, signature=signature, printing=PRINTING, today=city_date(now)
    )
    return reserve_permit(
        session,
        application.id,
        actor=actor_of(session, city.head),
        now=now,
        seen_digest=shown.digest,
        printing=PRINTING,
    )


def specimen_documents(session: Session, now: datetime) -> dict[str, PermitDocument]:
    """Give the documents by name, under one public code that never changes, so that pictures are equal."""
    return {name: _with_fixed_code(permit) for name, permit in reserve_specimens(session, now).items()}


def _with_fixed_code(permit: Permit) -> PermitDocument:
    code = "7KQ2M9XD4TBVWHR38ZNCPF6A1E"
    document = PermitDocument.from_json(permit.document)
    return replace(
        document,
        code=spaced_code(code),
        verify_url=f"{PRINTING.base_url}/v/{code}",
        data={**document.data, "code": code},
    )
