"""Signs a PDF as PAdES B-B or B-T (EN 319 142-1 §6), certified so that nothing may change afterwards."""

import hashlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from asn1crypto import cms, tsp
from cryptography import x509
from pikepdf import Array, Dictionary, Name, String

from keys.cms import (
    DATA,
    SIGNATURE_TIME_STAMP_TOKEN,
    attribute,
    digest_of,
    sign_content,
    sign_content_size,
)
from keys.profiles import find_extension
from keys.store import OpenKey
from keys.timestamp import Timestamper
from signing.errors import SignerCertificateNotValid, SignerCertificateUnsuitable, TimestampUnavailable
from signing.placement import make_room
from signing.trust import is_self_issued

FIELD_NAME = "TandaTangan"
_NOTHING_MAY_CHANGE = Dictionary(
    Type=Name.SigRef,
    TransformMethod=Name.DocMDP,
    TransformParams=Dictionary(Type=Name.TransformParams, V=Name("/1.2"), P=1),
)
"""Any change ends the certification, except for validation data and time stamps (ISO 32000-2 §12.8.2.2)."""
_ATTRIBUTE_SIZE = 32
"""Bytes around a time-stamp token: its attribute's name and lengths."""


def sign_document(
    pdf: bytes,
    signer: OpenKey,
    *,
    signed_at: datetime,
    timestamper: Timestamper | None,
    without_time_stamp: Callable[[TimestampUnavailable], None] | None = None,
    reason: str | None = None,
    location: str | None = None,
    field_name: str = FIELD_NAME,
    stamp_issuers: Sequence[x509.Certificate] = (),
) -> bytes:
    """Return the PDF with a certification signature in an invisible field, as an incremental update.

    The CMS is ETSI.CAdES.detached, over the digest that the signer's key asks for, with the signer's chain
    up to, but without, the trust anchor: B-T with a `timestamper`, else B-B. `signed_at` (aware) becomes /M,
    the claimed time (EN 319 142-1 §5.3). A field of that name made by the renderer is filled; otherwise one
    is made. `stamp_issuers` are those of the time stamp's certificate where another house issued the
    signer's.

    When no time stamp can be had, `without_time_stamp` is told why and the signature, which is made once, is
    B-B; without it TimestampUnavailable is raised.

    Raises SignerCertificateNotValid, SignerCertificateUnsuitable, AlreadySigned, TimestampUnavailable,
    SignatureDoesNotFit or UnreadableDocument; whatever `signer.sign` raises passes through.
    """
    require_document_signer(signer.certificate, signed_at)
    certificates = embedded_certificates(signer, stamp_issuers)
    size = sign_content_size(signer, certificates)
    if timestamper:
        size += timestamper.token_size + _ATTRIBUTE_SIZE
    entries = _entries(signed_at, reason, location)
    room = make_room(pdf, entries, size=size, field_name=field_name)
    signature = sign_content(
        signer,
        DATA,
        room.digest(digest_of(signer)),
        certificates=certificates,
        unsigned_attributes=lambda value: time_stamp_attributes(value, timestamper, without_time_stamp),
    )
    return room.filled(signature)


def _entries(signed_at: datetime, reason: str | None, location: str | None) -> Dictionary:
    """Return what a signature's dictionary says beside its range and contents (ISO 32000-2 §12.8.1)."""
    entries = Dictionary(
        Type=Name.Sig,
        Filter=Name("/Adobe.PPKLite"),
        SubFilter=Name("/ETSI.CAdES.detached"),
        M=String(f"D:{signed_at.astimezone(UTC):%Y%m%d%H%M%SZ}"),
        Reference=Array([_NOTHING_MAY_CHANGE]),
    )
    if reason is not None:
        entries.Reason = String(reason)
    if location is not None:
        entries.Location = String(location)
    return entries


def embedded_certificates(
    signer: OpenKey, stamp_issuers: Sequence[x509.Certificate] = ()
) -> list[x509.Certificate]:
    """Return the signer's chain and the issuers of its time stamps, without any trust anchor.

    A validator brings its own: embedding one proves nothing.
    """
    issuers = (*signer.chain, *stamp_issuers)
    return [signer.certificate, *(issuer for issuer in issuers if not is_self_issued(issuer))]


def require_document_signer(certificate: x509.Certificate, signed_at: datetime) -> None:
    if not certificate.not_valid_before_utc <= signed_at <= certificate.not_valid_after_utc:
        raise SignerCertificateNotValid(
            f"The signer's certificate is valid from {certificate.not_valid_before_utc:%Y-%m-%d} "
            f"to {certificate.not_valid_after_utc:%Y-%m-%d}, not at the time of signing."
        )
    usage = find_extension(certificate, x509.KeyUsage)
    if usage is None or not (usage.digital_signature and usage.content_commitment):
        raise SignerCertificateUnsuitable(
            "The signer's certificate does not allow digital signatures with non-repudiation."
        )


def time_stamp_attributes(
    signature: bytes,
    timestamper: Timestamper | None,
    without_time_stamp: Callable[[TimestampUnavailable], None] | None,
) -> list[bytes]:
    """Return the signature-time-stamp attribute over the signature's value, if any (EN 319 122-1 §5.3)."""
    if timestamper is None:
        return []
    try:
        token = time_stamp_token(hashlib.sha256(signature).digest(), timestamper)
    except TimestampUnavailable as error:
        if without_time_stamp is None:
            raise
        without_time_stamp(error)
        return []
    return [attribute(SIGNATURE_TIME_STAMP_TOKEN, token)]


def time_stamp_token(digest: bytes, timestamper: Timestamper) -> bytes:
    """Return the DER of a TimeStampToken over a SHA-256 digest. Raises TimestampUnavailable."""
    try:
        token = timestamper.stamp(digest)
        signed_data = cms.ContentInfo.load(token, strict=True)["content"]
        information = signed_data["encap_content_info"]["content"].parsed
        stamped = isinstance(information, tsp.TSTInfo) and information["message_imprint"]["hashed_message"]
    except Exception as error:  # Whatever a time-stamping authority's client raises, the cause is kept.
        raise TimestampUnavailable("The time-stamping authority gave no usable time stamp.") from error
    if not stamped or stamped.native != digest:
        raise TimestampUnavailable("The time stamp is not over what was to be stamped.")
    return token
