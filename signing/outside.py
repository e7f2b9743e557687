"""Documents signed by a service of another house: what it is asked, and what is accepted from it.

Whatever comes back is judged here before anybody relies on it. A service may hold the wrong file, or sign
as somebody else; then nothing is registered.
"""

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

from cryptography import x509
from cryptography.x509.oid import NameOID

from keys.timestamp import Timestamper
from signing.comparison import same_content
from signing.errors import ReturnedDocumentRefused
from signing.validate import Indication, validate_document

LARGEST_GROWTH = 4 * 1024 * 1024
"""What a signature with its validation data may add to a document, in bytes."""


@dataclass(frozen=True, slots=True)
class Act:
    """What one signature says beside the page: when, why and where; and who stamps the time."""

    signed_at: datetime
    timestamper: Timestamper | None
    reason: str
    location: str


@dataclass(frozen=True, slots=True)
class OutsideSigner:
    """A signing service of another house, opened for one official with what was typed: `with` it, or `close`.

    `sign` asks once. It raises OutcomeUnknown when there may be a signature, and other errors of `keys` and
    `signing` when there is none. Until `patience` has passed a question may still be under way over there.
    """

    service: str
    """`bsre` or `csc`."""
    holder: str
    """The common name that the official's certificate carries."""
    issuer: str
    """The organisation that its issuer carries, where the document names it."""
    sign: Callable[[bytes, Act], bytes]
    close: Callable[[], None]
    trust_anchors: tuple[x509.Certificate, ...]
    time_anchors: tuple[x509.Certificate, ...]
    """For time stamps of this house's choice; its own are trusted by the trust anchors."""
    crls: tuple[bytes, ...]
    """Revocation lists (DER) of that house, if there are any."""
    patience: timedelta
    brings_field: bool
    """Whether it makes a signature field of its own: one of ours would stay empty, for anybody to fill."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()


@dataclass(frozen=True, slots=True)
class Accepted:
    """What was found about the signature of an accepted document."""

    level: str
    signed_at: datetime
    """Proven by its time stamp, or else the signer's claim."""
    valid_until: datetime
    """The end of the signer's certificate."""


def require_acceptable(
    sent: bytes,
    returned: bytes,
    signer: OutsideSigner,
    *,
    crls: Sequence[bytes],
    at: datetime,
    names_issuer: bool,
) -> Accepted:
    """Accept a returned document, or raise ReturnedDocumentRefused with the reasons.

    It must say exactly what was sent, carry one PAdES signature that is TOTAL-PASSED `at` by the signer's
    trust anchors and the revocation lists, and be signed by the holder; with `names_issuer`, under the
    issuer that is printed on the page.
    """
    if len(returned) > len(sent) + LARGEST_GROWTH or not same_content(sent, returned):
        raise ReturnedDocumentRefused(("other_content",))
    report = validate_document(
        returned, signer.trust_anchors, at=at, crls=crls, time_anchors=signer.time_anchors
    )
    if report.indication is not Indication.TOTAL_PASSED or len(report.signatures) != 1:
        raise ReturnedDocumentRefused(report.reasons or ("several_signatures",))
    (signature,) = report.signatures
    assert signature.signer_certificate is not None
    certificate = x509.load_der_x509_certificate(signature.signer_certificate)
    if _plain(signer.holder) not in {_plain(name) for name in _names(certificate.subject)}:
        raise ReturnedDocumentRefused(("other_signer",))
    issuers = _names(certificate.issuer, NameOID.ORGANIZATION_NAME)
    if names_issuer and _plain(signer.issuer) not in {_plain(name) for name in issuers}:
        raise ReturnedDocumentRefused(("other_issuer",))
    assert signature.level is not None
    signed_at = signature.timestamped_at or signature.signed_at or at
    return Accepted(signature.level, signed_at, certificate.not_valid_after_utc)


def _names(name: x509.Name, part: x509.ObjectIdentifier = NameOID.COMMON_NAME) -> Sequence[str]:
    return [str(attribute.value) for attribute in name.get_attributes_for_oid(part)]


def _plain(name: str) -> str:
    """Bring a name to a form in which case, spaces and full stops make no other person of it."""
    return "".join(unicodedata.normalize("NFKC", name).casefold().replace(".", " ").split())
