"""The demonstration's people and cases as they stand in `city.yaml`."""

from functools import cache
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field

CITY_FILE = Path(__file__).parent / "city.yaml"


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DemoOfficer(_Value):
    email: str
    full_name: str
    roles: tuple[str, ...]
    position: str = ""
    rank: str = ""
    nip: str = ""
    agency: str = ""
    basis: str = ""
    """Of a signing official's definitive mandate."""


class DemoCitizen(_Value):
    """Applies with the personal details of the sample of the type named."""

    email: str
    sample: str


class Returned(_Value):
    """What the front office asks to be mended, with a remark each; key -> remark."""

    fields: dict[str, str] = {}
    documents: dict[str, str] = {}


class DemoCase(_Value):
    """One application and how far it has come."""

    slug: str
    by: str
    """The local part of the citizen's address."""
    ago: int
    """Working days from the submission (of a draft: the start) to the present."""
    pace: float = 6
    """Working hours between two acts."""
    until: Literal["draft", "returned", "withdrawn", "signed"] | None = None
    at: str | None = None
    """Instead of `until`: the step where it waits."""
    request: Literal["renewal", "change"] | None = None
    """Instead of the sample's: of the citizen's first permit of the type."""
    applicant_kind: str | None = None
    values: dict[str, Any] = {}
    """Answers that differ from the sample's; null takes one out."""
    returned: Returned | None = None
    """Returned once for correction, at its first step."""
    rejected: str | None = None
    """Reasons, one a line: a rejection is proposed in place of the draft."""
    then: Literal["suspended", "revoked"] | None = None
    after: int = 0
    """Working days from the signature's submission to what follows."""
    reason: str = ""
    remark: str = ""


class DemoCity(_Value):
    password: str
    """Everybody's."""
    passphrase: str
    """The signing official's."""
    officers: tuple[DemoOfficer, ...]
    citizens: tuple[DemoCitizen, ...]
    cases: tuple[DemoCase, ...] = Field(min_length=1)


@cache
def demo_city() -> DemoCity:
    """Read the demonstration's people and cases once."""
    return DemoCity.model_validate(yaml.safe_load(CITY_FILE.read_text(encoding="utf-8")))
