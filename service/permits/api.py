"""Permits for programmes: sign a case, read one's own permits, change a permit's status."""

import uuid
from datetime import date, datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Header, Path, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field, SecretStr
from sqlmodel import col, select

from service.accounts.access import OFFICERS, PUBLIC, SIGNED_IN, Actor, allow, roles
from service.accounts.models import User
from service.clock import now
from service.database import SessionDep, reading
from service.errors import NotFound, refusals
from service.permits.compose import DATA_SCHEMA
from service.permits.documents import PermitNotFound, document_response, find_readable
from service.permits.evidence_giving import evidence_response
from service.permits.issue import sign_application
from service.permits.log_proof import prove_permit, write_proof
from service.permits.models import Permit, StatusList
from service.permits.numbering import normalise_code
from service.permits.offline import list_address
from service.permits.register import find_by_code, permits_held_by, status_at
from service.permits.revoke import reinstate_permit, revoke_permit, suspend_permit
from service.permits.signer import signing_as
from service.permits.workshop import WorkshopDep, show_document
from service.storage import StorageDep
from service.transparency.api import LogKeyDep
from service.web import FROM_ANYWHERE, SettingsDep, cacheable

router = APIRouter(prefix="/api/v1", tags=["permits"])
schemas = APIRouter(prefix="/schemas", tags=["permits"])
status_lists = APIRouter(prefix="/status-lists", tags=["permits"])
Anyone = Annotated[Actor, allow(PUBLIC)]
Signer = Annotated[Actor, allow(roles("department_head", scope="sign"))]
Officer = Annotated[Actor, allow(OFFICERS)]
Reader = Annotated[Actor, allow(SIGNED_IN)]
SCHEMA_JSON = "application/schema+json"
STATUS_LIST = "application/statuslist+cwt"
FOREVER = "public, max-age=31536000, immutable"
Code = Annotated[str, Path(max_length=32, examples=["0123456789ABCDEFGHJKMNPQRS"])]


class DocumentToSign(BaseModel):
    """What the official is about to sign: send its digest back, so that nothing else can be signed."""

    digest: str = Field(examples=["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"])
    kind: str
    title: str
    empty_placeholders: list[str]
    may_sign: bool


class SigningOrder(BaseModel):
    """The passphrase opens the official's key for this one act; it is never stored."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"digest": "9f86d0…", "passphrase": "frasa sandi pejabat"}]}
    )

    digest: str = Field(max_length=64)
    passphrase: SecretStr = Field(max_length=1024)


class PermitSummary(BaseModel):
    """A permit or rejection letter, for its holder and for officers."""

    number: str
    code: str
    kind: str
    title: str
    holder: str
    status: str
    status_since: datetime
    issued_on: date
    valid_from: date
    valid_until: date | None


class LogEntryAnswer(BaseModel):
    """A leaf that tells of the permit, and the audit path that leads from it to the checkpoint's root."""

    index: int
    leaf: str
    """The canonical JSON that the log holds, to be hashed as it stands."""
    path: list[str]
    """Hashes in hex, from the leaf's sibling upwards (RFC 9162 §2.1.3)."""
    tlog_proof: str
    """The same, with the checkpoint, as a file of its own (C2SP tlog-proof)."""


class LogProofAnswer(BaseModel):
    """The log's signed checkpoint, and every leaf that tells of the permit, oldest first."""

    checkpoint: str
    entries: list[LogEntryAnswer]


class StatusOrder(BaseModel):
    """A decision over a permit's status; `reason` is one of the type's reasons for revocation."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"action": "revoke", "reason": "own_request", "remark": "Surat pemohon 1/2026"}]
        }
    )

    action: Literal["suspend", "reinstate", "revoke"]
    reason: str = Field(default="", max_length=40)
    remark: str = Field(max_length=1000)


@router.get("/cases/{application_id}/document", summary="Read the document to sign", responses=refusals(409))
def document_to_sign(
    application_id: uuid.UUID, actor: Officer, session: SessionDep, settings: SettingsDep
) -> DocumentToSign:
    """The document that would be signed for the case, by its digest."""
    shown = show_document(session, application_id, actor=actor, settings=settings)
    return DocumentToSign(
        digest=shown.composed.digest,
        kind=shown.composed.document.kind,
        title=shown.composed.document.title,
        empty_placeholders=list(shown.composed.empty_placeholders),
        may_sign=shown.may_sign,
    )


@router.post("/cases/{application_id}/signature", status_code=201, summary="Sign a case")
def sign(
    application_id: uuid.UUID,
    order: SigningOrder,
    actor: Signer,
    workshop: WorkshopDep,
    settings: SettingsDep,
) -> PermitSummary:
    """Issues its permit, or its rejection letter."""
    with reading(workshop.engine) as session:
        official = session.get_one(User, actor.id)
    passphrase = order.passphrase.get_secret_value()
    with signing_as(official, passphrase, settings=settings, now=now()) as signer:
        permit = sign_application(
            workshop, application_id, actor=actor, signer=signer, seen_digest=order.digest
        )
    return _summary(permit, permit.status, permit.status_since)


@router.get("/my-permits", summary="List my permits")
def my_permits(
    actor: Reader, session: SessionDep, limit: Annotated[int, Query(ge=1, le=500)] = 100
) -> list[PermitSummary]:
    """Permits and letters, the newest first."""
    moment = now()
    return [
        _summary(permit, *status_at(session, permit, moment))
        for permit in permits_held_by(session, actor)[:limit]
    ]


@router.get(
    "/permits/{code}/document",
    summary="Download a permit document",
    response_class=Response,
    responses={200: {"content": {"application/pdf": {}}}},
)
def document(code: Code, actor: Reader, session: SessionDep, storage: StorageDep) -> Response:
    """The signed PDF, byte for byte."""
    return document_response(session, storage, find_readable(session, code, actor))


@router.get(
    "/permits/{code}/evidence",
    summary="Download a permit's evidence",
    response_class=Response,
    responses={200: {"content": {"application/zip": {}}}, **refusals(404, 409, 503)},
)
def evidence(request: Request, code: Code, actor: Reader) -> Response:
    """All that was recorded of a permit, sealed, for its holder and for officers who may open its case.

    Each giving is recorded in the audit trail.
    """
    return evidence_response(request, code, actor)


@router.get("/permits/{code}/log-proof", summary="Prove a permit's entries in the log")
def log_proof(code: Code, actor: Anyone, session: SessionDep, key: LogKeyDep) -> LogProofAnswer:
    """For whoever has the code: that document and status stand in the public log."""
    permit = find_by_code(session, normalise_code(code) or "")
    if permit is None:
        raise PermitNotFound
    proven = prove_permit(session, permit, key)
    return LogProofAnswer(
        checkpoint=proven.checkpoint,
        entries=[
            LogEntryAnswer(
                index=proof.index,
                leaf=proof.leaf,
                path=list(proof.path),
                tlog_proof=write_proof(proof, proven.checkpoint),
            )
            for proof in proven.entries
        ],
    )


@router.post("/permits/{code}/status", summary="Change a permit's status")
def change_status(code: Code, order: StatusOrder, actor: Signer, session: SessionDep) -> PermitSummary:
    """Suspends, reinstates or revokes it."""
    permit = find_readable(session, code, actor)
    moment = now()
    if order.action == "reinstate":
        permit = reinstate_permit(session, permit.id, remark=order.remark, actor=actor, now=moment)
    else:
        decide = suspend_permit if order.action == "suspend" else revoke_permit
        permit = decide(
            session, permit.id, reason_code=order.reason, remark=order.remark, actor=actor, now=moment
        )
    return _summary(permit, permit.status, permit.status_since)


@schemas.get(
    "/permit-1.json",
    summary="JSON Schema of permit.json",
    response_class=Response,
    responses={200: {"content": {SCHEMA_JSON: {}}}},
)
def data_schema(_actor: Anyone) -> Response:
    """Describes the data attached to every permit document and letter; it never changes."""
    return schema_answer(DATA_SCHEMA.read_bytes())


def schema_answer(schema: bytes) -> Response:
    """Answer with a JSON Schema, which never changes at its address."""
    return Response(schema, media_type=SCHEMA_JSON, headers={"cache-control": FOREVER})


def _summary(permit: Permit, status: str, since: datetime) -> PermitSummary:
    return PermitSummary(
        number=permit.number,
        code=permit.code,
        kind=permit.kind,
        title=str(permit.document["title"]),
        holder=permit.holder_name,
        status=status,
        status_since=since,
        issued_on=permit.issued_on,
        valid_from=permit.valid_from,
        valid_until=permit.valid_until,
    )


class StatusLists(BaseModel):
    """The addresses of all lists (Token Status List §9.3)."""

    status_lists: list[str]


@status_lists.get("", summary="List the status lists")
def list_status_lists(_actor: Anyone, settings: SettingsDep, session: SessionDep) -> StatusLists:
    """The addresses of the status lists, for who keeps them all to check papers without a network."""
    numbers = session.exec(select(StatusList.number).order_by(col(StatusList.number))).all()
    return StatusLists(status_lists=[list_address(settings.base_url, number) for number in numbers])


@status_lists.get(
    "/{list_number}",
    summary="Read a status list",
    response_class=Response,
    responses={200: {"content": {STATUS_LIST: {}}}, 304: {"description": "Not changed"}, **refusals(404)},
)
def read_status_list(
    _actor: Anyone,
    session: SessionDep,
    list_number: Annotated[int, Path(ge=0, le=2**31 - 1, examples=[0])],
    if_none_match: Annotated[str, Header(max_length=200)] = "",
) -> Response:
    """Which permits are suspended, revoked or superseded, signed: an IETF Token Status List as a CWT."""
    found = session.get(StatusList, list_number)
    if found is None:
        raise NotFound
    return cacheable(found.token, STATUS_LIST, if_none_match, FROM_ANYWHERE)
