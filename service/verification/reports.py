"""The detailed report on the wire: each check of a verification with its result, as the API answers it."""

from datetime import date, datetime
from enum import StrEnum

from pydantic import BaseModel

from service.verification.answers import VerificationAnswer, verification_answer
from service.verification.verify import SignatureFound, Verification
from signing.etsi_report import write_report
from signing.policy import current_policy, state_policy
from signing.validate import Indication, ValidationReport


class Report(StrEnum):
    """How much an answer tells: `simple` is the contract; `etsi` is XML after ETSI TS 119 102-2."""

    SIMPLE = "simple"
    DETAILED = "detailed"
    ETSI = "etsi"


class CheckAnswer(BaseModel):
    """`passed` is null when the check was not reached, or there was nothing to judge."""

    name: str
    passed: bool | None
    found: str | None = None


class RevocationAnswer(BaseModel):
    """What the newest revocation data of then say: `good`, `revoked`, or `unknown` without any."""

    status: str
    source: str | None
    sha256: str | None
    signed_at: datetime | None
    next_update: datetime | None
    revoked_at: datetime | None


class CertificateAnswer(BaseModel):
    """A certificate at the proven time; `der` is Base64. A trust anchor is believed by its hash."""

    subject: str
    issuer: str
    serial_number: str
    sha256: str
    der: str
    is_trust_anchor: bool
    not_before: datetime
    not_after: datetime
    in_force: bool
    key: str
    algorithm: str
    accepted: bool | None
    accepted_until: date | None
    revocation: RevocationAnswer | None


class TimeStampAnswer(BaseModel):
    """A time stamp on the signature (`signature`) or over the document (`archive`)."""

    kind: str
    stamped_at: datetime
    judged_at: datetime | None
    passed: bool | None
    sub_indication: str | None
    certificates: list[CertificateAnswer]


class SignatureReport(BaseModel):
    """One signature. `signer` is what the certificate says: nobody vouches for it unless it is `ours`."""

    field: str
    ours: bool
    indication: str
    sub_indication: str | None
    reasons: list[str]
    level: str | None
    signer: str | None
    signed_at: datetime | None
    timestamped_at: datetime | None
    process: str | None = None
    judged_at: datetime | None = None
    digest_algorithm: str | None = None
    signature_algorithm: str | None = None
    checks: list[CheckAnswer] = []
    certificates: list[CertificateAnswer] = []
    time_stamps: list[TimeStampAnswer] = []


class OriginAnswer(BaseModel):
    """What altered bytes derive from. By `revision`, their first `size` bytes are the original."""

    found_by: str
    version: int | None
    sha256: str | None
    size: int | None


class PolicyAnswer(BaseModel):
    """The validation policy with the trust anchors: `text` is canonical JSON, and `sha256` its digest."""

    name: str
    version: int
    text: str
    sha256: str


class DetailedAnswer(VerificationAnswer):
    """The contract's answer, and everything it rests on."""

    sha256: str
    policy: PolicyAnswer | None
    checks: list[CheckAnswer]
    signatures: list[SignatureReport]
    origin: OriginAnswer | None


def detailed_answer(verification: Verification) -> DetailedAnswer:
    """Write everything that was found for the wire."""
    return DetailedAnswer(
        **verification_answer(verification).model_dump(),
        sha256=verification.sha256,
        policy=PolicyAnswer(**verification.policy) if verification.policy else None,
        checks=join_checks(verification),
        signatures=[_signature_report(each) for each in verification.signatures],
        origin=OriginAnswer.model_validate(verification.origin, from_attributes=True)
        if verification.origin
        else None,
    )


def etsi_report(verification: Verification) -> str:
    """Give the report as XML after ETSI TS 119 102-2; what could not be examined has no signature in it."""
    if verification.etsi:
        return verification.etsi
    unexamined = ValidationReport(Indication.INDETERMINATE, None, verification.reasons, ())
    policy = state_policy(current_policy(), ())
    at = verification.checked_at
    return write_report(unexamined, policy, document_sha256=verification.sha256, at=at)


def join_checks(verification: Verification) -> list[CheckAnswer]:
    """Tell the three things that a genuine document needs at once."""
    is_registered = "index" in verification.log
    index = verification.log.get("index")
    signature = verification.signature
    return [
        CheckAnswer(name="register", passed=is_registered),
        CheckAnswer(
            name="signature",
            passed=signature.indication == "TOTAL-PASSED" if signature else None,
            found=signature.level if signature else None,
        ),
        CheckAnswer(
            name="log",
            passed=verification.log["included"] if is_registered else None,
            found=str(index) if index is not None else None,
        ),
    ]


def _signature_report(found: SignatureFound) -> SignatureReport:
    details = found.details or {}
    names = SignatureReport.model_fields.keys()
    values = {name: getattr(found, name) for name in names if hasattr(found, name)}
    return SignatureReport(
        field=found.field_name, **values, **{name: details[name] for name in names & details.keys()}
    )
