"""Verification receipts for people: a button beside each answer.

What was found about a file is carried by its page, sealed for an hour, because the file itself is not kept.
"""

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi import Form as FormField
from fastapi.responses import Response
from itsdangerous import BadSignature, URLSafeSerializer
from sqlmodel import Session

from service.accounts.access import PUBLIC, Actor, allow
from service.clock import now
from service.config import Settings
from service.errors import NotFound
from service.permits.models import Permit
from service.permits.numbering import normalise_code
from service.permits.register import find_by_code, find_by_number
from service.verification.intake import (
    ReadingDep,
    TypedDay,
    TypedNumber,
    form_day,
    form_number,
    limit_receipts,
)
from service.verification.receipt import Asked, StatedPolicy
from service.verification.receipt_api import give_receipt
from service.verification.receipt_issue import (
    CERTAIN,
    Finding,
    Form,
    finding_of_file,
    finding_of_register,
)
from service.verification.verify import Verification
from service.web import SettingsDep

router = APIRouter(include_in_schema=False, dependencies=[Depends(limit_receipts)])
Anyone = Annotated[Actor, allow(PUBLIC)]
AskedForm = Annotated[Form, FormField()]
LIFETIME = timedelta(hours=1)


class ReceiptTooLate(NotFound):
    code = "receipt_too_late"
    message_id = "Bukti dapat diunduh satu jam setelah pemeriksaan. Periksa sekali lagi berkasnya."
    message_en = "A receipt can be had within an hour of the check. Check the file again."


def carry_finding(verification: Verification, pdf: bytes, settings: Settings) -> str | None:
    """Return what a page carries so that its reader may have a receipt, or None when there is none."""
    if verification.verdict not in CERTAIN:
        return None
    finding = asdict(finding_of_file(verification, pdf))
    policy = finding["policy"]
    finding |= {
        "asked": finding["asked"].file_sha256,
        "checked_at": verification.checked_at.isoformat(),
        "policy": policy.model_dump() if policy else None,
    }
    return str(_serializer(settings).dumps(finding))


def carried_finding(carried: str, settings: Settings, now: datetime) -> Finding:
    """Return what a page carried. Raises ReceiptTooLate."""
    try:
        found: dict[str, Any] = _serializer(settings).loads(carried)
    except BadSignature:
        raise ReceiptTooLate from None
    checked_at = datetime.fromisoformat(found.pop("checked_at"))
    if now - checked_at > LIFETIME:
        raise ReceiptTooLate
    policy = found.pop("policy")
    return Finding(
        policy=StatedPolicy(**policy) if policy else None,
        asked=Asked(file_sha256=found.pop("asked")),
        checked_at=checked_at,
        reasons=tuple(found.pop("reasons")),
        **found,
    )


def _serializer(settings: Settings) -> URLSafeSerializer:
    return URLSafeSerializer(settings.secret_key.get_secret_value(), salt="receipt")


@router.post("/verify/receipt")
def receipt_of_file(
    request: Request,
    _actor: Anyone,
    session: ReadingDep,
    settings: SettingsDep,
    carried: Annotated[str, FormField(max_length=8000)],
    form: AskedForm = "pdf",
) -> Response:
    """Give the receipt of an answer about a file."""
    return give_receipt(request, session, carried_finding(carried, settings, now()), form)


@router.post("/v/{code}/receipt")
def receipt_of_code(
    request: Request,
    code: str,
    _actor: Anyone,
    session: ReadingDep,
    on: Annotated[TypedDay, Depends(form_day)],
    form: AskedForm = "pdf",
) -> Response:
    """Give the receipt of an answer to a QR code. Raises NotFound."""
    normal = normalise_code(code)
    permit = find_by_code(session, normal) if normal else None
    return _receipt_of_register(request, session, permit, Asked(code=normal, on=on.read()), form)


@router.post("/verify/number/receipt")
def receipt_of_number(
    request: Request,
    _actor: Anyone,
    session: ReadingDep,
    asked: Annotated[TypedNumber, Depends(form_number)],
    on: Annotated[TypedDay, Depends(form_day)],
    form: AskedForm = "pdf",
) -> Response:
    """Give the receipt of an answer to a number and its day of issue. Raises NotFound."""
    issued_on = asked.issued_on.read()
    permit = find_by_number(session, asked.number, issued_on) if issued_on else None
    number = permit.number if permit else None
    return _receipt_of_register(
        request, session, permit, Asked(number=number, issued_on=issued_on, on=on.read()), form
    )


def _receipt_of_register(
    request: Request, session: Session, permit: Permit | None, asked: Asked, form: Form
) -> Response:
    if permit is None:
        raise NotFound
    return give_receipt(request, session, finding_of_register(asked, permit.code, now()), form)
