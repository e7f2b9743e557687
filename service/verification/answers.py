"""The verification contract on the wire (DESIGN §5), as the API answers it."""

from datetime import date, datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from service.catalogue.format import Key
from service.clock import Day
from service.permits.register import PublicPermit
from service.verification.compare import MAX_TEXT, Match, PaperSays
from service.verification.verify import SignatureFacts, Verification

EXAMPLE_PERMIT: dict[str, Any] = {
    "number": "500.16.7.2/0001/SIP-TK/XI/2026",
    "kind": "permit",
    "type": "Surat Izin Praktik Tenaga Kesehatan",
    "holder": "S*** A*****",
    "issued_on": "2026-11-23",
    "valid_from": "2026-11-23",
    "valid_until": "2031-11-22",
    "status": "active",
    "status_since": "2026-11-23T03:00:00Z",
    "reason": None,
    "superseded_by": None,
    "signer": "Dra. Contoh Pejabat, M.Si.",
    "position": "Kepala Dinas",
    "mandate": "definitive",
    "facts": {"Profesi": "Bidan"},
    "url": "https://izin.contoh.invalid/v/0123456789ABCDEFGHJKMNPQRS",
}


Written = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_TEXT)]


class PaperOrder(BaseModel):
    """What a paper says, to be compared. `facts` go by the keys of the permit type's fields."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "holder": "Siti Contoh",
                    "valid_until": "2031-11-22",
                    "facts": {"practice_address": "Jl. Contoh No. 7"},
                }
            ]
        },
    )

    holder: Written | None = None
    valid_until: Day | None = None
    facts: Annotated[dict[Key, Written], Field(max_length=20)] = {}

    def as_said(self) -> PaperSays:
        return PaperSays(self.holder, self.valid_until, self.facts)


class PermitAnswer(BaseModel):
    """The register's public fields of a permit. The holder is masked unless the whole document was given."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE_PERMIT]})

    number: str
    kind: str
    type: str
    holder: str
    issued_on: date
    valid_from: date
    valid_until: date | None
    status: str
    status_since: datetime
    reason: str | None
    superseded_by: str | None
    signer: str
    position: str
    mandate: str
    facts: dict[str, str]
    url: str


class ComparisonAnswer(BaseModel):
    """What became of each thing that was sent: null where nothing was."""

    holder: Match | None
    valid_until: Match | None
    facts: dict[str, Match]
    status: str


class SignatureAnswer(BaseModel):
    indication: str
    sub_indication: str | None
    level: str | None
    signer: str
    position: str
    mandate: str
    signed_at: datetime | None


class LogAnswer(BaseModel):
    index: int | None = None
    included: bool = False


class VerificationAnswer(BaseModel):
    """`genuine`, `altered`, `unknown`, `undecided` or `receipt`, with stable reason codes."""

    verdict: str
    reasons: list[str]
    permit: PermitAnswer | None
    signature: SignatureAnswer | None
    log: LogAnswer | None
    checked_at: datetime


class ReceiptAnswer(VerificationAnswer):
    """The answer to a receipt of ours: the verdict `receipt`, and what it states."""

    receipt: dict[str, Any]


def permit_answer(permit: PublicPermit) -> PermitAnswer:
    """Write a permit's public part for the wire."""
    return PermitAnswer(
        **{name: getattr(permit, name) for name in PermitAnswer.model_fields if name != "facts"},
        facts=dict(permit.facts),
    )


def verification_answer(verification: Verification) -> VerificationAnswer:
    """Write a verification for the wire."""
    return VerificationAnswer(
        verdict=verification.verdict,
        reasons=list(verification.reasons),
        permit=permit_answer(verification.permit) if verification.permit else None,
        signature=signature_answer(verification.signature) if verification.signature else None,
        log=LogAnswer(**verification.log) if verification.log else None,
        checked_at=verification.checked_at,
    )


def receipt_answer(verification: Verification, receipt: dict[str, Any]) -> ReceiptAnswer:
    """Write for the wire that a file is a receipt of ours."""
    return ReceiptAnswer(**verification_answer(verification).model_dump(), receipt=receipt)


def signature_answer(signature: SignatureFacts) -> SignatureAnswer:
    """Write what was found about a signature for the wire."""
    return SignatureAnswer.model_validate(signature, from_attributes=True)
