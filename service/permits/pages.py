"""Pages of permits: signing one file, the preview, the holder's permits, the officers' register."""

import uuid
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response
from sqlmodel import Session

from service.accounts.access import ADMINISTRATORS, CITIZENS, OFFICERS, SIGNED_IN, Actor, allow, roles
from service.accounts.models import User
from service.applications.continued import NotContinuable, refusal_to_continue
from service.applications.models import Application
from service.catalogue.format import Request as RequestKind
from service.catalogue.models import PermitTypeNotFound, find_permit_type, get_revision
from service.clock import now
from service.database import SessionDep, reading, transaction
from service.errors import Conflict, FieldProblem, InvalidInput, ServiceError, translate_foreign
from service.permits.documents import document_response, find_readable
from service.permits.evidence_giving import evidence_response, may_have_evidence
from service.permits.issue import finish_issuance, sign_application, unfinished_issuances
from service.permits.models import Kind, Permit, Status
from service.permits.reconcile import last_reconciliation
from service.permits.register import (
    current_version,
    document_health,
    find_successor,
    permits_held_by,
    public_permit,
    search_register,
    status_at,
    status_history,
)
from service.permits.renewal import newest_renewal, start_renewal
from service.permits.revoke import reinstate_permit, revoke_permit, suspend_permit
from service.permits.signer import service_of, signing_as
from service.permits.workshop import WorkshopDep, show_document
from service.pki.outside import stamps_until
from service.pki.overview import own_tsa_end
from service.storage import StorageDep
from service.web import SettingsDep, language_of, redirect, render, translate
from signing.render import render_document

router = APIRouter(include_in_schema=False)

SIGNERS = roles("department_head", scope="sign")
REGISTRARS = roles("department_head", "secretary", "back_office", scope="review")
REVOKERS = roles("department_head", scope="sign")
Signer = Annotated[Actor, allow(SIGNERS)]
Officer = Annotated[Actor, allow(OFFICERS)]
Registrar = Annotated[Actor, allow(REGISTRARS)]
Revoker = Annotated[Actor, allow(REVOKERS)]
Citizen = Annotated[Actor, allow(CITIZENS)]
Reader = Annotated[Actor, allow(SIGNED_IN)]
Passphrase = Annotated[str, Form(max_length=1024)]
Text = Annotated[str, Form(max_length=1000)]


# Signing one file ---------------------------------------------------------------------------


@router.get("/sign/{application_id}")
def signing_page(
    request: Request, application_id: uuid.UUID, actor: Signer, session: SessionDep, settings: SettingsDep
) -> Response:
    """Show the document at full size, the passphrase field and one button."""
    return _signing_page(request, session, application_id, actor, settings, None)


def _signing_page(
    request: Request,
    session: Session,
    application_id: uuid.UUID,
    actor: Actor,
    settings: Any,
    error: ServiceError | None,
) -> Response:
    shown = show_document(session, application_id, actor=actor, settings=settings)
    return render(
        request,
        "permits/sign.html",
        error.status if error else 200,
        shown=shown,
        service=service_of(session.get_one(User, actor.id)),
        error=error,
        problems=passphrase_problems(error),
        message=error.message(language_of(request)) if error else None,
    )


def passphrase_problems(error: ServiceError | None) -> tuple[FieldProblem, ...]:
    """Return a refusal's problems, one without any as the passphrase's."""
    if error is None or error.problems:
        return error.problems if error else ()
    return (FieldProblem("passphrase", error.code, error.message("id"), error.message("en")),)


@router.post("/sign/{application_id}")
def sign(
    request: Request,
    application_id: uuid.UUID,
    actor: Signer,
    workshop: WorkshopDep,
    settings: SettingsDep,
    passphrase: Passphrase = "",
    digest: Text = "",
) -> Response:
    """Sign: the passphrase opens the key for this one act, and is forgotten."""
    try:
        with reading(workshop.engine) as session:
            official = session.get_one(User, actor.id)
        with signing_as(official, passphrase, settings=settings, now=now()) as signer:
            permit = sign_application(
                workshop, application_id, actor=actor, signer=signer, seen_digest=digest
            )
    except Exception as failure:
        error = as_refusal(failure)
        with reading(workshop.engine) as session:
            if any(each.application_id == application_id for each in unfinished_issuances(session, actor)):
                # The number is taken: the case goes on from the list, where it now stands.
                return _to_the_list(request, error)
            return _signing_page(request, session, application_id, actor, settings, error)
    return _signed(request, permit)


@router.post("/sign/unfinished/{permit_id}")
def finish(
    request: Request,
    permit_id: uuid.UUID,
    actor: Signer,
    workshop: WorkshopDep,
    settings: SettingsDep,
    passphrase: Passphrase = "",
) -> Response:
    """Finish an issuance that was interrupted, under the number it already has."""
    with reading(workshop.engine) as session:
        official = session.get_one(User, actor.id)
    try:
        with signing_as(official, passphrase, settings=settings, now=now()) as signer:
            permit = finish_issuance(workshop, permit_id, actor=actor, signer=signer)
    except Exception as failure:
        return _to_the_list(request, as_refusal(failure))
    return _signed(request, permit)


def _to_the_list(request: Request, error: ServiceError) -> Response:
    return redirect(request, "/sign", flash=("notice", error.message(language_of(request))))


def as_refusal(failure: Exception) -> ServiceError:
    """Return the refusal to show beside the passphrase; what is none of ours goes on as it is."""
    if isinstance(failure, ServiceError):
        return failure
    refusal = translate_foreign(failure)
    if refusal is None:
        raise failure
    return refusal


def _signed(request: Request, permit: Permit) -> Response:
    language = language_of(request)
    text = translate("Sudah ditandatangani dan diterbitkan dengan nomor", language)
    return redirect(request, "/sign", flash=("success", f"{text} {permit.number}."))


# The preview ----------------------------------------------------------------------------------


@router.get("/officer/cases/{application_id}/preview")
def preview_page(
    request: Request, application_id: uuid.UUID, actor: Officer, session: SessionDep, settings: SettingsDep
) -> Response:
    """Show the very document that would be signed, and what is still missing in it."""
    shown = show_document(session, application_id, actor=actor, settings=settings)
    return render(request, "permits/preview.html", shown=shown)


@router.get("/officer/cases/{application_id}/preview.pdf")
def preview_pdf(
    application_id: uuid.UUID, actor: Officer, session: SessionDep, settings: SettingsDep
) -> Response:
    """Render the preview: the same page as the signed one, marked as a preview, without number and QR."""
    shown = show_document(session, application_id, actor=actor, settings=settings)
    pdf = render_document(shown.composed.document, preview=True)
    headers = {"content-disposition": 'inline; filename="pratinjau.pdf"'}
    return Response(pdf, media_type="application/pdf", headers=headers)


# The holder's permits ---------------------------------------------------------------------------


@router.get("/my-permits")
def my_permits(
    request: Request, actor: Citizen, session: SessionDep, application: uuid.UUID | None = None
) -> Response:
    """List the citizen's own permits and letters, or lead to the one of an application."""
    permits = permits_held_by(session, actor)
    if application is not None:
        permits = [permit for permit in permits if permit.application_id == application]
        if len(permits) == 1:
            return redirect(request, f"/permits/{permits[0].code}")
    moment = now()
    rows = [(permit, status_at(session, permit, moment)[0]) for permit in permits]
    return render(request, "permits/mine.html", rows=rows, application=application)


@router.get("/permits/{code}")
def permit_page(
    request: Request, code: str, actor: Reader, session: SessionDep, settings: SettingsDep
) -> Response:
    """Show a permit to its holder, or to an officer with its history and what may be done."""
    permit = find_readable(session, code, actor)
    return _permit_page(request, session, permit, actor, settings)


def _permit_page(
    request: Request,
    session: Session,
    permit: Permit,
    actor: Actor,
    settings: Any,
    error: InvalidInput | None = None,
    typed: dict[str, str] | None = None,
) -> Response:
    public = public_permit(
        session,
        permit,
        moment=now(),
        language=language_of(request),
        base_url=settings.base_url,
        masked=False,
    )
    may_decide = REVOKERS.allows(actor) and permit.kind == Kind.PERMIT
    return render(
        request,
        "permits/permit.html",
        422 if error else 200,
        permit=permit,
        public=public,
        version=current_version(session, permit),
        history=status_history(session, permit),
        earlier=session.get(Permit, permit.continues_id) if permit.continues_id else None,
        successor=find_successor(session, permit),
        continuations=_continuations(session, permit, actor),
        may_have_evidence=may_have_evidence(session, permit, actor),
        reasons=get_revision(session, permit.revision_id).permit_type.revocation_reasons,
        may_suspend=may_decide and permit.status == Status.ACTIVE,
        may_reinstate=may_decide and permit.status == Status.SUSPENDED,
        may_revoke=may_decide and permit.status in (Status.ACTIVE, Status.SUSPENDED),
        problems=error.problems if error else (),
        typed=typed or {},
    )


@dataclass(frozen=True, slots=True)
class Continuation:
    """A request that the holder may make of a permit, or why not now."""

    request: str
    applicant_kind: str
    refusal: Conflict | None


def _continuations(session: Session, permit: Permit, actor: Actor) -> list[Continuation]:
    """Return what the holder may ask for; nothing where the permit's status or its type rules it out."""
    if actor.id != permit.holder_id or permit.kind != Kind.PERMIT:
        return []
    try:
        permit_type = find_permit_type(session, permit.slug).permit_type
    except PermitTypeNotFound:
        return []
    applicant_kind = session.get_one(Application, permit.application_id).applicant_kind
    moment = now()
    asked = [
        Continuation(
            request,
            applicant_kind,
            refusal_to_continue(session, permit, permit_type, request, moment),
        )
        for request in permit_type.requests
        if request != RequestKind.NEW
    ]
    return [each for each in asked if not isinstance(each.refusal, NotContinuable)]


@router.get("/permits/{code}/document")
def download(code: str, actor: Reader, session: SessionDep, storage: StorageDep) -> Response:
    """Give the signed document, byte for byte as registered."""
    return document_response(session, storage, find_readable(session, code, actor))


@router.get("/permits/{code}/evidence")
def evidence(request: Request, code: str, actor: Reader) -> Response:
    """Give the bundle that proves the permit without this service."""
    return evidence_response(request, code, actor)


# The officers' register ---------------------------------------------------------------------------


@router.get("/officer/permits")
def register(request: Request, actor: Registrar, session: SessionDep, q: str = "", page: int = 1) -> Response:
    """Search the register by number, holder or type."""
    found = search_register(session, q[:200], page=max(1, min(page, 10_000)))
    moment = now()
    rows = [(permit, status_at(session, permit, moment)[0]) for permit in found.permits]
    return render(request, "permits/register.html", rows=rows, found=found, q=q[:200])


@router.get("/officer/permits/health")
def health(request: Request, actor: Officer, session: SessionDep) -> Response:
    """Show how long the documents are proven, and how far their bulk renewal is."""
    return render(
        request,
        "permits/health.html",
        documents=document_health(session),
        renewal=newest_renewal(session),
        now=now(),
        reconciliation=last_reconciliation(session),
    )


@router.post("/officer/permits/health/renewals")
def renew_proofs(
    request: Request, actor: Annotated[Actor, allow(ADMINISTRATORS)], settings: SettingsDep
) -> Response:
    """Start a bulk renewal of every proof that would last longer by it."""
    place, moment, language = "/officer/permits/health", now(), language_of(request)
    try:
        with transaction(request.app.state.engine) as session:
            until = stamps_until(session, settings.tsa_addresses, own_tsa_end(session, moment), moment)
            start_renewal(session, stamps_until=until, actor=actor, now=moment)
    except Conflict as refusal:
        return redirect(request, place, flash=("notice", refusal.message(language)))
    return redirect(request, place, flash=("success", translate("Pembaruan bukti dimulai.", language)))


@router.post("/permits/{code}/status")
def change_status(
    request: Request,
    code: str,
    actor: Revoker,
    settings: SettingsDep,
    action: Annotated[str, Form(pattern="^(suspend|reinstate|revoke)$")],
    reason_code: Text = "",
    remark: Text = "",
) -> Response:
    """Suspend, reinstate or revoke a permit, with its reason."""
    engine = request.app.state.engine
    try:
        with transaction(engine) as session:
            permit = find_readable(session, code, actor)
            if action == "reinstate":
                reinstate_permit(session, permit.id, remark=remark, actor=actor, now=now())
            else:
                decide = suspend_permit if action == "suspend" else revoke_permit
                decide(session, permit.id, reason_code=reason_code, remark=remark, actor=actor, now=now())
    except InvalidInput as error:
        typed = {"action": action, "reason_code": reason_code, "remark": remark}
        with reading(engine) as session:
            permit = find_readable(session, code, actor)
            return _permit_page(request, session, permit, actor, settings, error, typed)
    text = translate("Status izin sudah diubah.", language_of(request))
    return redirect(request, f"/permits/{code}", flash=("success", text))
