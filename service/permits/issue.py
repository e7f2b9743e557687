"""Issuing: from a decision to a registered, signed document, in the order of DESIGN §4.

One transaction writes the decision, the number, the public code and the frozen PermitDocument as
`issuing`. Then the document is rendered, signed and stored. A second transaction registers it and
makes the permit `active`. A crash anywhere leaves an `issuing` permit, which `finish_issuance` ends
under the same number: never a gap, never two.
"""

import hmac
import uuid
from collections.abc import Callable
from datetime import datetime
from functools import partial

from sqlmodel import Session, col, select

from service import jobs
from service.accounts.access import Actor
from service.accounts.models import User
from service.applications.continued import require_continuable
from service.applications.models import Application
from service.applications.transitions import apply_action
from service.applications.workflow import Action, State
from service.audit import record_event
from service.catalogue.format import PermitType
from service.catalogue.models import active_city, get_permit_type
from service.catalogue.wording import (
    format_number,
    holder_name,
    place_of_use,
    public_facts,
)
from service.clock import city_date
from service.database import transaction
from service.errors import Conflict, NotFound, ServiceError
from service.permits.asking import NotYoursToFinish
from service.permits.compose import Composed, Printing, compose_document, signature_block
from service.permits.mandates import mandate_for, printed_capacity
from service.permits.models import DocumentVersion, Kind, Mandate, Permit, Status
from service.permits.numbering import LETTER_SERIES, new_public_code, next_sequence
from service.permits.offline import seal_document, take_status_index
from service.permits.sign import SignedDocument, Workshop, require_able, sign_and_store
from service.permits.signer import DocumentSigner, OpenKey, service_of
from service.permits.status import log_status, set_status, tell_holder
from service.permits.succession import supersede_earlier, term_of
from service.transparency.witnesses import require_not_behind

EXTEND_JOB = "extend_document"
"""The durable job that makes the signed document B-LTA; see `permits.extend`."""


class WordingIncomplete(ServiceError):
    """The document would be printed with a gap: nobody signs that."""

    status = 409
    code = "wording_incomplete"


class DocumentChanged(Conflict):
    code = "document_changed"
    message_id = (
        "Isi dokumen sudah berbeda dari yang Anda lihat. Tidak ada yang ditandatangani; "
        "buka dokumennya sekali lagi."
    )
    message_en = (
        "The document now says something other than what you saw. Nothing was signed; open it once more."
    )


def sign_application(
    workshop: Workshop,
    application_id: uuid.UUID,
    *,
    actor: Actor,
    signer: DocumentSigner,
    seen_digest: str,
    note: Callable[[Session, Permit], None] | None = None,
) -> Permit:
    """Decide an application and issue its permit (or rejection letter), signed by the official.

    `signer` was opened with the passphrase typed for this act; `seen_digest` is that of the preview the
    official saw; `note` writes what the caller must know of the permit in the transaction that takes the
    number. Raises what the workflow raises when the case moved on (Conflict), what `require_continuable`
    raises when the permit to be renewed or changed did, NoMandate, DocumentChanged when the document would
    say something else by now, WordingIncomplete, BehindWitness, WitnessSilent, and the errors of `signing`,
    all before a number is taken; a failure afterwards leaves an `issuing` permit for `finish_issuance`.
    """
    require_not_behind(workshop.engine, workshop.witnesses, workshop.clock())
    with transaction(workshop.engine) as session:
        official = session.get_one(User, actor.id)
        require_able(session, signer, workshop.clock(), service=service_of(official))
        permit = reserve_permit(
            session,
            application_id,
            actor=actor,
            now=workshop.clock(),
            seen_digest=seen_digest,
            printing=workshop.printing,
            seal=workshop.seal,
        )
        if note is not None:
            note(session, permit)
    return _issue(workshop, permit, actor=actor, signer=signer)


def reserve_permit(
    session: Session,
    application_id: uuid.UUID,
    *,
    actor: Actor,
    now: datetime,
    seen_digest: str,
    printing: Printing,
    seal: OpenKey | None = None,
) -> Permit:
    """Write the decision, take the number and freeze the document: the first transaction."""
    application = session.get(Application, application_id)
    if application is None:
        raise NotFound
    permit_type = get_permit_type(session, application.revision_id)
    signer = session.get_one(User, actor.id)
    application = apply_action(
        session, application, Action.SIGN, actor=actor, now=now, permit_type=permit_type
    )
    mandate = mandate_for(session, signer.id, application.slug, city_date(now))
    compose = partial(
        compose_document,
        session,
        application,
        permit_type,
        signature=signature_block(signer, mandate),
        service=service_of(signer),
        printing=printing,
        today=city_date(now),
    )
    shown = compose()
    if not hmac.compare_digest(shown.digest, seen_digest):
        raise DocumentChanged
    require_complete(shown)
    if application.state == State.APPROVED:
        require_continuable(session, application, permit_type, now)
    kind = Kind.PERMIT if application.state == State.APPROVED else Kind.REJECTION_LETTER
    permit = _new_permit(session, application, permit_type, kind, mandate, actor=actor, now=now)
    place = place_of_use(permit_type, application.values)
    document = seal_document(
        compose(permit=permit).document, permit, place=place, seal=seal, base_url=printing.base_url, now=now
    )
    permit.document = document.to_json()
    session.add(permit)
    _record(session, permit, "permit_reserved", actor, now, kind=permit.kind)
    return permit


def require_complete(shown: Composed) -> None:
    """Raise WordingIncomplete when the document would be printed with gaps or without its characters."""
    if shown.unprintable:
        raise WordingIncomplete(
            f"Dokumen memuat karakter yang tidak dapat dicetak: {shown.unprintable}. "
            "Kembalikan permohonan agar pemohon menulisnya dengan huruf Latin.",
            f"The document contains characters that cannot be printed: {shown.unprintable}. "
            "Return the application so that the applicant writes them in Latin letters.",
        )
    if shown.empty_placeholders:
        names = ", ".join(shown.empty_placeholders)
        raise WordingIncomplete(
            f"Dokumen belum lengkap: {names}. Kembalikan berkas kepada petugas penyusun konsep.",
            f"The document has gaps: {names}. Send the case back to the officer who drafts it.",
        )


def _new_permit(
    session: Session,
    application: Application,
    permit_type: PermitType,
    kind: Kind,
    mandate: Mandate,
    *,
    actor: Actor,
    now: datetime,
) -> Permit:
    """Take a number and a code, and lay out the row whose document is composed next."""
    issued_on = city_date(now)
    letter = kind == Kind.REJECTION_LETTER
    series = LETTER_SERIES if letter else permit_type.code
    sequence = next_sequence(session, series, issued_on.year)
    pattern = active_city(session).rejection_letter.number_format if letter else permit_type.number_format
    valid_from, valid_until = (
        (issued_on, None) if letter else term_of(session, application, permit_type, issued_on)
    )
    signer = session.get_one(User, actor.id)
    return Permit(
        application_id=application.id,
        kind=kind,
        slug=application.slug,
        revision_id=application.revision_id,
        series=series,
        year=issued_on.year,
        sequence=sequence,
        number=format_number(pattern, sequence, series, issued_on),
        code=new_public_code(),
        status_since=now,
        status_index=None if letter else take_status_index(session),
        continues_id=None if letter else application.continues_id,
        holder_id=application.applicant_id,
        holder_name=holder_name(permit_type, application.values),
        document={},
        public_facts=[] if letter else public_facts(permit_type, application.values),
        issued_on=issued_on,
        valid_from=valid_from,
        valid_until=valid_until,
        signer_id=signer.id,
        signer_name=signer.full_name,
        signer_position=printed_capacity(mandate).replace("\n", ", "),
        mandate=mandate.capacity,
        mandate_id=mandate.id,
        mandate_basis=mandate.basis,
        signed_by=service_of(signer),
        created_at=now,
    )


def finish_issuance(
    workshop: Workshop, permit_id: uuid.UUID, *, actor: Actor, signer: DocumentSigner
) -> Permit:
    """Render, sign, store and register a reserved permit, now or after a crash, under its number.

    The mandate was checked when the decision was taken; one that ended since leaves no gap in the numbers.
    Raises NotYoursToFinish when it is finished or another official's, OtherService, BehindWitness,
    WitnessSilent, what `ask_to_sign` raises, and the errors of `signing`.
    """
    require_not_behind(workshop.engine, workshop.witnesses, workshop.clock())
    with transaction(workshop.engine) as session:
        permit = session.get(Permit, permit_id)
        if permit is None or permit.status != Status.ISSUING or permit.signer_id != actor.id:
            raise NotYoursToFinish
        require_able(session, signer, workshop.clock(), service=permit.signed_by)
    return _issue(workshop, permit, actor=actor, signer=signer)


def _issue(workshop: Workshop, permit: Permit, *, actor: Actor, signer: DocumentSigner) -> Permit:
    signed = sign_and_store(workshop, permit, actor=actor, signer=signer)
    with transaction(workshop.engine) as session:
        return register_document(session, permit.id, signed, actor=actor, now=workshop.clock())


def register_document(
    session: Session, permit_id: uuid.UUID, signed: SignedDocument, *, actor: Actor, now: datetime
) -> Permit:
    """Register the stored document and make the permit active, in the place of the one it continues.

    Of two that finish the same permit the first registers; the second is told (NotYoursToFinish) and
    its bytes stay unregistered, so they are never genuine.
    """
    statement = select(Permit).where(Permit.id == permit_id).with_for_update()
    permit = session.exec(statement.execution_options(populate_existing=True)).one()
    if permit.status != Status.ISSUING:
        raise NotYoursToFinish
    permit.asked_at = None
    set_status(session, permit, Status.ACTIVE, actor=actor, now=now)
    version = DocumentVersion(
        permit_id=permit.id,
        version=1,
        sha256=signed.sha256,
        fingerprint=signed.fingerprint,
        size=signed.size,
        level=signed.level,
        signed_at=signed.signed_at,
        registered_at=now,
        verifiable_until=signed.verifiable_until,
    )
    log_status(session, permit, version, now)
    supersede_earlier(session, permit, actor=actor, now=now)
    jobs.enqueue(session, EXTEND_JOB, str(permit.id))
    is_permit = permit.kind == Kind.PERMIT
    tell_holder(session, permit, "permit_issued" if is_permit else "rejection_letter_issued", now)
    _record(session, permit, "permit_issued", actor, now, sha256=version.sha256, log_index=version.log_index)
    return permit


def _record(
    session: Session, permit: Permit, action: str, actor: Actor, now: datetime, **facts: str | int | None
) -> None:
    record_event(
        session,
        action=action,
        subject_type="application",
        subject_id=permit.application_id,
        actor_id=actor.user_id,
        actor_name=actor.full_name,
        actor_role=actor.role_for_audit,
        now=now,
        data={"number": permit.number, **facts},
    )


def unfinished_issuances(session: Session, actor: Actor) -> list[Permit]:
    """List what a crash, or a service outside, left `issuing` for this official, oldest first."""
    statement = (
        select(Permit)
        .where(Permit.status == Status.ISSUING, Permit.signer_id == actor.id)
        .order_by(col(Permit.created_at))
    )
    return list(session.exec(statement))
