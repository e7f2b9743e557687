"""What the doors of signing share: the workshop from the app's state, and the signer's own case."""

import uuid
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy import Engine
from sqlmodel import Session

from service.accounts.access import Actor
from service.accounts.models import BSRE, CSC, User
from service.applications.review import Case, find_case
from service.applications.workflow import Action
from service.clock import city_date, now
from service.config import Settings
from service.errors import ServiceError, Unavailable
from service.permits.compose import Composed, Printing, compose_document, signature_block
from service.permits.mandates import NoMandate, mandate_for
from service.permits.sign import Workshop
from service.permits.signer import OperationsKeys, service_of
from service.storage import Storage
from service.transparency.log import log_origin
from service.transparency.witnesses import Witnesses, parse_witnesses
from signing import bsre


class SigningUnavailable(Unavailable):
    code = "signing_unavailable"
    message_id = (
        "Penandatanganan belum dapat dilakukan: kunci layanan belum disiapkan. Hubungi administrator."
    )
    message_en = "Signing is not possible yet: the service's keys are not set up. Ask the administrator."


def request_workshop(request: Request) -> Workshop:
    """Give a route what issuing needs. Raises SigningUnavailable without the service's own keys."""
    state = request.app.state
    keys: OperationsKeys | None = state.operations_keys
    if keys is None:
        raise SigningUnavailable
    return workshop_of(state.settings, state.engine, state.storage, keys, state.witnesses)


def workshop_of(
    settings: Settings, engine: Engine, storage: Storage, keys: OperationsKeys, witnesses: Witnesses | None
) -> Workshop:
    """Return what issuing and extending need in this installation."""
    return Workshop(
        engine,
        storage,
        keys.timestamper,
        now,
        printing_of(settings),
        witnesses,
        settings.outside_anchors,
        keys.seal,
    )


WorkshopDep = Annotated[Workshop, Depends(request_workshop)]


def printing_of(settings: Settings) -> Printing:
    """Return what every document of this installation says."""
    issuers = {BSRE: bsre.ISSUER if settings.bsre_url else "", CSC: settings.csc_issuer}
    named = {service: issuer for service, issuer in issuers.items() if issuer}
    return Printing(settings.base_url, settings.is_sample, named)


def witnesses_of(settings: Settings) -> Witnesses:
    """Return who watches this installation's log. Raises KeyMalformed for a setting that names no keys."""
    grace = timedelta(hours=settings.witness_grace_hours)
    return Witnesses(parse_witnesses(settings.witnesses), log_origin(settings.base_url), grace)


@dataclass(frozen=True, slots=True)
class Shown:
    """A case with the document that would be signed, as its reader sees it."""

    case: Case
    composed: Composed
    may_sign: bool
    refusal: ServiceError | None
    """Why its reader may not sign it, where there is more to say than that it does not wait for them."""


def show_document(session: Session, application_id: uuid.UUID, *, actor: Actor, settings: Settings) -> Shown:
    """Compose the preview of a case's document for an officer who may see the case.

    The signer sees their own name and capacity on it; everybody else, a signer without a mandate too, the
    head of office's position. Raises CaseNotFound, or ValidityOver when the last day would be over.
    """
    case = find_case(session, application_id, actor=actor)
    compose = partial(
        compose_document,
        session,
        case.application,
        case.permit_type,
        printing=printing_of(settings),
        today=city_date(now()),
    )
    if Action.SIGN not in case.actions:
        return Shown(case, compose(signature=None), False, case.refusal)
    try:
        mandate = mandate_for(session, actor.id, case.application.slug, city_date(now()))
    except NoMandate as refusal:
        return Shown(case, compose(signature=None), False, refusal)
    official = session.get_one(User, actor.id)
    composed = compose(signature=signature_block(official, mandate), service=service_of(official))
    return Shown(case, composed, True, None)
