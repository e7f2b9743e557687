"""Asking a service of another house to sign: once, on the record, and never two documents for a number.

The intent is written before the request goes out, with the digest of what is sent. What is known after
takes it back: a refusal, or the registered document. A lost answer, or a crash, leaves it standing: then
there may be a signed copy somewhere that nobody here has seen. The official may sign again under the same
number; at most one document is registered, so a copy that turns up is never genuine.
"""

import hashlib
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Engine
from sqlmodel import Session, select

from keys.errors import KeysError, OutcomeUnknown
from service.accounts.access import Actor
from service.audit import record_event
from service.clock import CITY_TIMEZONE
from service.database import reading, transaction
from service.errors import Conflict
from service.permits.models import Permit, Status
from service.permits.signer import OutsideSigner
from service.pki.outside_trust import judging_lists
from signing.errors import ReturnedDocumentRefused, SigningError
from signing.outside import Accepted, Act, require_acceptable


class SigningUnderWay(Conflict):
    code = "signing_under_way"

    def __init__(self, until: datetime) -> None:
        clock = f"{until.astimezone(CITY_TIMEZONE):%H.%M.%S}"
        super().__init__(
            f"Permintaan tanda tangan untuk nomor ini mungkin masih diproses. Tunggu sampai pukul {clock}, "
            "lalu selesaikan penerbitannya.",
            f"A request to sign under this number may still be under way. Wait until {clock}, then finish "
            "the issuance.",
        )


class NotYoursToFinish(Conflict):
    code = "not_yours_to_finish"
    message_id = "Penerbitan ini telah selesai atau ditandatangani oleh pejabat lain."
    message_en = "This issuance has been finished, or belongs to another official."


def ask_to_sign(
    engine: Engine,
    clock: Callable[[], datetime],
    permit_id: uuid.UUID,
    pdf: bytes,
    act: Act,
    *,
    signer: OutsideSigner,
    actor: Actor,
    names_issuer: bool,
) -> tuple[bytes, Accepted]:
    """Have a rendered document signed, and return it with what was found about its signature.

    Nothing is registered here. Raises SigningUnderWay while an earlier request may still be answered,
    NotYoursToFinish, ReturnedDocumentRefused, OutcomeUnknown (the permit keeps `asked_at`), and what
    `signer.sign` raises when there is no signature.
    """
    sent = {"service": signer.service, "sha256": hashlib.sha256(pdf).hexdigest()}
    with transaction(engine) as session:
        _claim(session, permit_id, sent, patience=signer.patience, actor=actor, now=clock())
    try:
        returned = signer.sign(pdf, act)
        with reading(engine) as session:
            crls = judging_lists(session, signer.crls, archived=False)
        accepted = require_acceptable(pdf, returned, signer, crls=crls, at=clock(), names_issuer=names_issuer)
    except OutcomeUnknown as lost:
        _record_outcome(engine, permit_id, "signature_outcome_unknown", sent, lost.code, actor, clock())
        raise
    except ReturnedDocumentRefused as refused:
        # It is signed, and here is where it ends: the trail names it, and the register never will.
        seen = sent | {"returned_sha256": hashlib.sha256(returned).hexdigest(), "reasons": refused.reasons}
        _record_outcome(engine, permit_id, "signed_document_refused", seen, refused.code, actor, clock())
        raise
    except (KeysError, SigningError) as refused:
        _record_outcome(engine, permit_id, "signature_refused", sent, refused.code, actor, clock())
        raise
    return returned, accepted


def _claim(
    session: Session,
    permit_id: uuid.UUID,
    sent: dict[str, Any],
    *,
    patience: timedelta,
    actor: Actor,
    now: datetime,
) -> None:
    """Write the intent. Of two who finish the same permit at once, one asks."""
    permit = _lock(session, permit_id)
    if permit.status != Status.ISSUING:
        raise NotYoursToFinish
    if permit.asked_at is not None and now < permit.asked_at + patience:
        raise SigningUnderWay(permit.asked_at + patience)
    again = permit.asked_at is not None
    permit.asked_at = now
    _record(session, permit, "signature_requested", sent | {"outcome_unknown_before": again}, actor, now)


def _record_outcome(
    engine: Engine,
    permit_id: uuid.UUID,
    action: str,
    data: dict[str, Any],
    code: str,
    actor: Actor,
    now: datetime,
) -> None:
    """Record how a request ended without a document; `asked_at` stays where that is not known."""
    with transaction(engine) as session:
        permit = _lock(session, permit_id)
        if permit.status == Status.ISSUING and action != "signature_outcome_unknown":
            permit.asked_at = None
        _record(session, permit, action, data | {"code": code}, actor, now)


def _lock(session: Session, permit_id: uuid.UUID) -> Permit:
    statement = select(Permit).where(Permit.id == permit_id).with_for_update()
    return session.exec(statement.execution_options(populate_existing=True)).one()


def _record(
    session: Session, permit: Permit, action: str, data: dict[str, Any], actor: Actor, now: datetime
) -> None:
    session.add(permit)
    record_event(
        session,
        action=action,
        subject_type="application",
        subject_id=permit.application_id,
        actor_id=actor.user_id,
        actor_name=actor.full_name,
        actor_role=actor.role_for_audit,
        now=now,
        data={"number": permit.number, **data},
    )
