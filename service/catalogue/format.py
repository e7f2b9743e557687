"""The catalogue's format: frozen values, exactly what the YAML files and the stored revisions say."""

from enum import StrEnum
from functools import cached_property
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, StringConstraints
from pydantic import Field as Constraint

Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
Key = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
Slug = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,79}$")]
Code = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9-]{0,19}$")]
Count = Annotated[int, Constraint(ge=1, le=10_000)]
Conditions = dict[str, tuple[bool | int | str, ...]]
"""`{field: (values…)}`: holds when every named field has one of its values.

Besides the type's own fields, `request` and `applicant_kind` may be named.
"""


class Plain(BaseModel):
    """A frozen value that is exactly what its file says: no unknown key, no silent conversion."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Bilingual(Plain):
    """A text in both languages of the service."""

    id: Text
    en: Text

    def text(self, language: str) -> str:
        return self.en if language == "en" else self.id


class Item(Plain):
    """A key with its label."""

    key: Key
    label: Bilingual


class Request(StrEnum):
    """What an applicant may ask for."""

    NEW = "new"
    RENEWAL = "renewal"
    CHANGE = "change"
    CLOSURE = "closure"


class ApplicantKind(StrEnum):
    PERSON = "person"
    ORGANISATION = "organisation"


REQUEST_LABELS = {
    Request.NEW: Bilingual(id="Permohonan baru", en="New application"),
    Request.RENEWAL: Bilingual(id="Perpanjangan", en="Renewal"),
    Request.CHANGE: Bilingual(id="Perubahan", en="Change"),
    Request.CLOSURE: Bilingual(id="Penutupan", en="Closure"),
}
APPLICANT_KIND_LABELS = {
    ApplicantKind.PERSON: Bilingual(id="Perorangan", en="Person"),
    ApplicantKind.ORGANISATION: Bilingual(id="Badan usaha atau lembaga", en="Organisation"),
}


class FieldType(StrEnum):
    """How a field is asked for, checked and shown; `forms` gives each its rules."""

    TEXT = "text"
    LONG_TEXT = "long_text"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    CONSENT = "consent"
    """A box that must be ticked."""
    DATE = "date"
    CHOICE = "choice"
    LIST = "list"
    """Short texts, one a line."""
    EMAIL = "email"
    PHONE = "phone"
    REGION = "region"
    """A kelurahan by its Kemendagri code, e.g. `33.75.01.1002`."""
    COORDINATES = "coordinates"
    """`latitude,longitude` in decimal degrees (WGS 84)."""
    NIK = "nik"
    NPWP = "npwp"
    NIB = "nib"


class Privacy(StrEnum):
    """The kind of personal data (UU 27/2022, article 4)."""

    NONE = "none"
    GENERAL = "general"
    SPECIFIC = "specific"


class Rule(Plain):
    """A comparison of fields (see `rules`) and what the applicant reads when it fails."""

    expression: Text
    message: Bilingual


class Field(Plain):
    """One thing asked of the applicant. `required_if` replaces `required`.

    A field whose `required_if` names `request` or `applicant_kind` is not asked at all when that
    part does not hold.
    """

    key: Key
    type: FieldType = Constraint(strict=False)
    label: Bilingual
    hint: Bilingual | None = None
    required: bool = True
    required_if: Conditions | None = None
    privacy: Privacy = Constraint(strict=False)
    choices: tuple["Choice", ...] = ()
    min_length: Count | None = None
    max_length: Count | None = None
    """In characters; for a list, of each of its lines."""
    pattern: Text | None = None
    pattern_message: Bilingual | None = None
    minimum: float | None = None
    maximum: float | None = None
    more_than: float | None = None
    unit: Text | None = None
    min_items: Count | None = None
    max_items: Count | None = None
    rule: Rule | None = None


class Choice(Plain):
    """One of the values a choice may take."""

    value: Key | Annotated[str, StringConstraints(pattern=r"^[A-Z]{1,10}$")]
    label: Bilingual


class Section(Plain):
    """Fields of one topic: one page of the form."""

    key: Key
    title: Bilingual
    hint: Bilingual | None = None
    applicant_kinds: tuple[Annotated[ApplicantKind, Constraint(strict=False)], ...] = tuple(ApplicantKind)
    fields: tuple[Field, ...] = Constraint(min_length=1)


class DocumentRequirement(Plain):
    """A file the applicant uploads. `required_if` replaces `required`; see `forms.asked_documents`."""

    key: Key
    label: Bilingual
    hint: Bilingual | None = None
    required: bool = True
    required_if: Conditions | None = None
    accept: tuple[Literal["pdf", "jpg", "png"], ...] = ("pdf", "jpg", "png")
    privacy: Privacy = Constraint(default=Privacy.GENERAL, strict=False)


class Action(StrEnum):
    """What a step lets its role do; `applications.workflow` says where each leads."""

    FORWARD = "forward"
    RETURN_FOR_COMPLETION = "return_for_completion"
    RETURN_TO_PREVIOUS = "return_to_previous"
    PROPOSE_REJECTION = "propose_rejection"
    RECOMMEND = "recommend"
    RECOMMEND_REJECTION = "recommend_rejection"
    SUBMIT_REPORT = "submit_report"
    PAY = "pay"
    INITIAL = "initial"
    SIGN = "sign"
    ISSUE = "issue"


class Step(Plain):
    """One stop on an application's way; the steps of a type are its whole way, in order."""

    key: Key
    role: Key
    label: Bilingual
    actions: tuple[Annotated[Action, Constraint(strict=False)], ...] = Constraint(min_length=1)
    share: float = Constraint(ge=0)
    """The step's part of the deadline, relative to the sum of all parts."""
    optional: bool = False
    automatic: bool = False
    pauses_clock: bool = False
    assigns_number: bool = False
    attachments: tuple[Item, ...] = ()
    """What the reviewer may attach here, e.g. an inspection report."""


class Fee(Plain):
    kind: Literal["free", "fixed", "external"]
    """`external`: assessed and paid outside this service."""
    amount: Annotated[int, Constraint(ge=0, le=2**53)] | None = None
    """Whole rupiah; None when it is assessed case by case."""
    note: Bilingual | None = None


class Validity(Plain):
    """How long a permit holds. `cap_field` is a date it never outlives, where that field applies."""

    kind: Literal["years", "months", "field_dates", "open_ended"]
    length: Count | None = None
    from_field: Key | None = None
    until_field: Key | None = None
    cap_field: Key | None = None
    note: Bilingual


class Renewal(Plain):
    allowed: bool
    opens_days_before: Count | None = None
    """Days before the end of validity from which a renewal may be asked for."""
    requires: tuple[Key, ...] = ()
    """Documents that a renewal must bring."""


class Wording(Plain):
    """What the permit document says, in Indonesian; `wording` describes the notation."""

    title: Text
    body: Text
    validity: Text | None = None
    """The sentence about how long the permit holds, which the document sets apart."""


class PermitType(Plain):
    """Everything about one kind of permit, as a citizen, an officer and the document need it."""

    slug: Slug
    code: Code
    title: Bilingual
    summary: Bilingual
    """One or two plain sentences: what it is for and who needs it."""
    category: Key
    status: Literal["active", "draft", "retired"]
    notice: Bilingual | None = None
    """What an applicant must know before starting."""
    legal_basis: tuple[Text, ...] = Constraint(min_length=1)
    applicant_kinds: tuple[Annotated[ApplicantKind, Constraint(strict=False)], ...] = Constraint(min_length=1)
    requests: tuple[Annotated[Request, Constraint(strict=False)], ...] = Constraint(min_length=1)
    request_labels: dict[str, Bilingual]
    sections: tuple[Section, ...] = Constraint(min_length=1)
    holder: tuple[Key, ...] = Constraint(min_length=1)
    """The fields that may name the holder; the first that is asked and filled does."""
    place: tuple[Key, ...] = ()
    """The public fields that say where the permit is used, for a check without a network."""
    documents: tuple[DocumentRequirement, ...]
    agency: Bilingual | None = None
    """The technical agency that gives its opinion."""
    steps: tuple[Step, ...] = Constraint(min_length=1)
    report_items: tuple[Item, ...] = ()
    """What a field visit reports on."""
    deadline_working_days: Annotated[int, Constraint(ge=1, le=250)]
    deemed_granted_working_days: Count | None = None
    fee: Fee
    validity: Validity
    renewal: Renewal
    obligations: tuple[Bilingual, ...] = ()
    number_format: Text
    """See `wording.format_number`."""
    signer_role: Key
    wording: Wording
    public_fields: tuple[Key, ...]
    """The fields anyone may read on the public pages, beside number, dates and status."""
    revocation_reasons: tuple[Item, ...] = Constraint(min_length=1)

    @cached_property
    def fields(self) -> dict[str, Field]:
        """Every field by its key, in the order of the form."""
        return {field.key: field for section in self.sections for field in section.fields}

    def step(self, key: str) -> Step:
        """Return the step with this key. Raises KeyError."""
        return {step.key: step for step in self.steps}[key]


class Letterhead(Plain):
    lines: tuple[Text, ...] = Constraint(min_length=1, max_length=3)
    address: Text
    contact: Text
    postal_code: Annotated[str, StringConstraints(pattern=r"^[0-9]{5}$")]


class Footers(Plain):
    """The legal sentence at the foot of a document, true for the certificate that signed it."""

    law: Text
    production: Text
    other: Text
    """For another certification authority than the national one, named in the place of `{issuer}`."""
    test: Text


class RejectionLetter(Plain):
    number_format: Text
    code: Code
    wording: Wording


class City(Plain):
    """The office that issues the permits."""

    region_code: Annotated[str, StringConstraints(pattern=r"^[0-9]{2}\.[0-9]{2}$")]
    authority: Bilingual
    office: Bilingual
    office_short: Text
    place: Text
    """Where documents are made: "Ditetapkan di …"."""
    letterhead: Letterhead
    official_title: Bilingual
    footers: Footers
    rejection_letter: RejectionLetter
    deemed_granted_working_days: Count
    deemed_granted_warning_days: Count
    categories: tuple[Item, ...] = Constraint(min_length=1)
    roles: tuple[Item, ...] = Constraint(min_length=1)

    def role_label(self, role: str) -> Bilingual:
        """Return a role's label. Raises KeyError."""
        return {item.key: item.label for item in self.roles}[role]

    def category_label(self, category: str) -> Bilingual:
        """Return a category's label. Raises KeyError."""
        return {item.key: item.label for item in self.categories}[category]


class Catalogue(Plain):
    city: City
    permit_types: tuple[PermitType, ...] = Constraint(min_length=1)
