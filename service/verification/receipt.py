"""Reading a verification receipt: a statement of this service under the agency's seal.

Receipts are not registered. What makes one genuine is the seal, over exactly these words, and a certificate
that the register knows as the seal's; a permit, which must be registered, is never genuine by this way.
"""

from datetime import date, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError
from sqlmodel import Session

from service.pki.register import is_seal

KIND = "verification_receipt"
SCHEMA = Path(__file__).with_name("receipt-1.schema.json")
"""The JSON Schema of a Statement. A change that could break a reader takes a new file and address."""
SCHEMA_PATH = "/schemas/receipt-1.json"


class Asked(BaseModel):
    """What was asked about: a file, a code, a number with its day of issue, or a batch; and on which day."""

    model_config = ConfigDict(extra="forbid")

    file_sha256: str | None = None
    batch_sha256: str | None = None
    code: str | None = None
    number: str | None = None
    issued_on: date | None = None
    on: date | None = None


class StatedLine(BaseModel):
    """What was found about one file, code or number of a batch."""

    model_config = ConfigDict(extra="forbid")

    name: str
    sha256: str | None
    on: date | None
    checked_at: datetime
    verdict: str
    reasons: list[str]
    kind: str | None
    number: str | None
    holder: str | None
    status: str | None


class StatedPolicy(BaseModel):
    """The validation policy of a file's verdict, by name, version and the SHA-256 (hex) of its text."""

    model_config = ConfigDict(extra="forbid")

    name: str
    version: int
    sha256: str


class Statement(BaseModel):
    """What a receipt states, version 1, as SCHEMA tells programmes. Who asked is not in it.

    `verdict` is that of a file, or `registered` of a code or number. `permit`, `signature` and `log` are what
    the API answers; `log` proves each leaf that tells of the permit. Of a batch, `verdict` is `batch`, and
    `lines` tell of each.
    """

    model_config = ConfigDict(extra="forbid")

    kind: Literal["verification_receipt"]
    v: Literal[1]
    service: str
    checked_at: datetime
    asked: Asked
    verdict: Literal["genuine", "altered", "unknown", "registered", "batch"]
    reasons: list[str]
    policy: StatedPolicy | None
    permit: dict[str, Any] | None
    signature: dict[str, Any] | None
    log: dict[str, Any] | None
    lines: list[StatedLine] | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the statement as JSON values."""
        stated = self.model_dump(mode="json")
        stated["asked"] = self.asked.model_dump(mode="json", exclude_none=True)
        if self.lines is None:
            del stated["lines"]
        return stated


def read_receipt(session: Session, findings: dict[str, Any]) -> dict[str, Any] | None:
    """Return what a file states that one seal of ours alone has signed, or None for any other file.

    The signature may be indeterminate (a certificate's end, a revocation), but has not failed.
    """
    report = findings["report"]
    if not findings.get("receipt") or not report or len(report["signatures"]) != 1:
        return None
    if report["indication"] == "TOTAL-FAILED" or not is_seal(session, report["signatures"][0]["certificate"]):
        return None
    try:
        return Statement.model_validate(findings["receipt"]).as_json()
    except ValidationError:
        return None
