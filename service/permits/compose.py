"""From an application to the very document that will be signed, or its preview."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from sqlmodel import Session, col, select

from service.accounts.models import BSRE, User
from service.applications.models import Application, StepVisit
from service.applications.workflow import Action
from service.catalogue.format import City, PermitType
from service.catalogue.models import active_city
from service.catalogue.wording import fill_wording, holder_name, machine_readable
from service.clock import city_date
from service.permits.mandates import printed_capacity
from service.permits.models import HERE, Kind, Mandate, Permit
from service.permits.numbering import spaced_code
from service.permits.succession import term_of
from signing.document import Letterhead, PermitDocument, SignatureBlock, canonical_json
from signing.render import unprintable

DATA_SCHEMA = Path(__file__).with_name("permit-1.schema.json")
"""The JSON Schema of `permit.json`. A change that could break a reader takes a new file and address."""
DATA_SCHEMA_PATH = "/schemas/permit-1.json"


@dataclass(frozen=True, slots=True)
class Printing:
    """What every document of this installation says: where to verify it, and whether it is a sample."""

    base_url: str
    is_sample: bool
    issuers: Mapping[str, str] = field(default_factory=dict)
    """By the signing service outside: who issues its certificates. All other documents are samples."""


@dataclass(frozen=True, slots=True)
class Composed:
    document: PermitDocument
    empty_placeholders: tuple[str, ...]
    """What the wording asks for and the application does not say; such a document is not signed."""

    unprintable: str
    """Characters the document's font has no glyph for; such a document is not signed either."""

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of everything the document says: the signer signs exactly what was shown."""
        return hashlib.sha256(canonical_json(self.document.to_json())).hexdigest()


def compose_document(
    session: Session,
    application: Application,
    permit_type: PermitType,
    *,
    signature: SignatureBlock | None,
    printing: Printing,
    today: date,
    permit: Permit | None = None,
    service: str | None = None,
) -> Composed:
    """Compose the document of a reserved permit, or without one the preview of what would be signed.

    A preview has no number, code or date of issue yet, shows its dates as if it were signed today, and
    names a signer only when a signature block is given. `service` is where it is to be signed. Raises
    ValidityOver when its last day would be over, NothingGained for a renewal that would end no later.
    """
    city = active_city(session)
    footer_legal, is_sample = _footer(city, printing, service)
    rejects = application.outcome == "reject"
    letter = city.rejection_letter.wording if rejects else None
    wording = fill_wording(
        permit_type, application.values, _facts(session, application, permit_type, permit, today), letter
    )
    document = PermitDocument(
        kind=Kind.REJECTION_LETTER.value if rejects else Kind.PERMIT.value,
        title=wording.title,
        letterhead=letterhead_of(city),
        legal_basis=permit_type.legal_basis,
        body=wording.blocks,
        validity=wording.validity,
        place=city.place,
        signature=signature or SignatureBlock(capacity=city.official_title.id, name="…"),
        verify_text=printing.base_url.split("://", 1)[-1] + "/verify",
        footer_legal=footer_legal,
        is_sample=is_sample,
        number=permit.number if permit else None,
        code=spaced_code(permit.code) if permit else None,
        verify_url=f"{printing.base_url}/v/{permit.code}" if permit else None,
        issued_on=permit.issued_on if permit else None,
        data=_data(permit_type, application, permit, printing, rejects=rejects),
    )
    return Composed(document, wording.empty_placeholders, unprintable(document))


def _footer(city: City, printing: Printing, service: str | None) -> tuple[str, bool]:
    """Return the legal sentence that is true of who will sign, and whether the document is a sample.

    Where nobody in particular signs yet, it is that of the service that is connected.
    """
    if service is None:
        service = next(iter(printing.issuers), HERE)
    if printing.is_sample or service not in printing.issuers:
        return city.footers.test, True
    if service == BSRE:
        return city.footers.production, False
    return city.footers.other.replace("{issuer}", printing.issuers[service]), False


def _facts(
    session: Session, application: Application, permit_type: PermitType, permit: Permit | None, today: date
) -> dict[str, object]:
    """The facts a wording may name."""
    issued_on = permit.issued_on if permit else today
    rejects = application.outcome == "reject"
    valid_from, valid_until = (
        (issued_on, None) if rejects else term_of(session, application, permit_type, issued_on)
    )
    return {
        "number": permit.number if permit else "…",
        "permit_title": permit_type.title.id,
        "receipt_number": application.receipt_number,
        "holder": holder_name(permit_type, application.values),
        "submitted_date": city_date(application.submitted_at) if application.submitted_at else None,
        "issued_date": issued_on,
        "valid_from": valid_from,
        "valid_until": valid_until,
        "reasons": rejection_reasons(session, application) if rejects else (),
        "request": application.request,
        "applicant_kind": application.applicant_kind,
    }


def rejection_reasons(session: Session, application: Application) -> tuple[str, ...]:
    """Return the reasons of the last proposal to reject, one for each line the officer wrote."""
    visit = session.exec(
        select(StepVisit)
        .where(StepVisit.application_id == application.id, StepVisit.action == Action.PROPOSE_REJECTION)
        .order_by(col(StepVisit.number).desc())
    ).first()
    lines = (visit.note or "").splitlines() if visit else []
    return tuple(line.strip() for line in lines if line.strip())


def letterhead_of(city: City) -> Letterhead:
    """Return the office's letterhead as documents print it."""
    first, *rest = city.letterhead.lines
    return Letterhead(first, "\n".join(rest), city.letterhead.address, city.letterhead.contact)


def signature_block(signer: User, mandate: Mandate) -> SignatureBlock:
    """Return who signs, in the capacity that the mandate gives."""
    return SignatureBlock(
        capacity=printed_capacity(mandate),
        name=signer.full_name,
        rank=signer.rank,
        nip=signer.nip,
    )


def _data(
    permit_type: PermitType,
    application: Application,
    permit: Permit | None,
    printing: Printing,
    *,
    rejects: bool,
) -> dict[str, Any]:
    """The attached `permit.json`: the public fields only, and what identifies the document."""
    return {
        "$schema": printing.base_url + DATA_SCHEMA_PATH,
        "type": permit_type.slug,
        "kind": (Kind.REJECTION_LETTER if rejects else Kind.PERMIT).value,
        "number": permit.number if permit else None,
        "code": permit.code if permit else None,
        "issued_on": permit.issued_on.isoformat() if permit else None,
        "valid_from": permit.valid_from.isoformat() if permit else None,
        "valid_until": permit.valid_until.isoformat() if permit and permit.valid_until else None,
        "facts": {} if rejects else machine_readable(permit_type, application.values),
    }
