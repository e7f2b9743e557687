"""Signs a PDF as PAdES B-B or B-T (EN 319 142-1 §6), certified so that nothing may change afterwards."""

import hashlib
import io
from collections.abc import Callable
from datetime import datetime

from asn1crypto import cms, tsp
from cryptography import x509
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.misc import PdfError
from pyhanko.sign.fields import (
    MDPPerm,
    SigFieldSpec,
    SigSeedSubFilter,
    enumerate_sig_fields,
)
from pyhanko.sign.signers.cms_embedder import PdfCMSEmbedder, SigIOSetup, SigMDPSetup, SigObjSetup
from pyhanko.sign.signers.pdf_byterange import PreparedByteRangeDigest, SignatureObject

from keys.cms import DATA, SIGNATURE_TIME_STAMP_TOKEN, attribute, sign_content, sign_content_size
from keys.store import OpenKey
from keys.timestamp import Timestamper
from signing.errors import (
    AlreadySigned,
    SignatureDoesNotFit,
    SignerCertificateNotValid,
    SignerCertificateUnsuitable,
    TimestampUnavailable,
    UnreadableDocument,
)
from signing.trust import is_self_issued
from signing.update import INVISIBLE, UpdateWriter

FIELD_NAME = "TandaTangan"
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
) -> bytes:
    """Return the PDF with a certification signature in an invisible field, as an incremental update.

    The CMS is ETSI.CAdES.detached over SHA-256 with the signer's chain up to, but without, the trust
    anchor: B-T with a `timestamper`, else B-B. `signed_at` (aware) becomes /M, the claimed time
    (EN 319 142-1 §5.3). A field of that name made by the renderer is filled; otherwise one is made.

    When no time stamp can be had, `without_time_stamp` is told why and the signature, which is made once, is
    B-B; without it TimestampUnavailable is raised.

    Raises SignerCertificateNotValid, SignerCertificateUnsuitable, AlreadySigned, TimestampUnavailable,
    SignatureDoesNotFit or UnreadableDocument; whatever `signer.sign` raises passes through.
    """
    require_document_signer(signer.certificate, signed_at)
    # A validator brings its own trust anchors: embedding one proves nothing.
    certificates = [signer.certificate, *(issuer for issuer in signer.chain if not is_self_issued(issuer))]
    size = sign_content_size(signer, certificates)
    if timestamper:
        size += timestamper.token_size + _ATTRIBUTE_SIZE
    placeholder = SignatureObject(
        timestamp=signed_at,
        subfilter=SigSeedSubFilter.PADES,
        reason=reason,
        location=location,
        # The reserve is counted in hexadecimal digits.
        bytes_reserved=2 * size,
    )
    try:
        prepared, output = _prepare(pdf, field_name, placeholder)
    except PdfError as error:
        raise UnreadableDocument("The document to sign cannot be read as a PDF.") from error
    signature = sign_content(
        signer,
        DATA,
        prepared.document_digest,
        certificates=certificates,
        unsigned_attributes=lambda value: _timestamps(value, timestamper, without_time_stamp),
    )
    if 2 * len(signature) > prepared.reserved_region_end - prepared.reserved_region_start - 2:
        raise SignatureDoesNotFit("The signature and its time stamp need more room than was reserved.")
    prepared.fill_with_cms(output, signature)
    return output.getvalue()


def require_document_signer(certificate: x509.Certificate, signed_at: datetime) -> None:
    if not certificate.not_valid_before_utc <= signed_at <= certificate.not_valid_after_utc:
        raise SignerCertificateNotValid(
            f"The signer's certificate is valid from {certificate.not_valid_before_utc:%Y-%m-%d} "
            f"to {certificate.not_valid_after_utc:%Y-%m-%d}, not at the time of signing."
        )
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        usage = None
    if usage is None or not (usage.digital_signature and usage.content_commitment):
        raise SignerCertificateUnsuitable(
            "The signer's certificate does not allow digital signatures with non-repudiation."
        )


def _prepare(
    pdf: bytes, field_name: str, placeholder: SignatureObject
) -> tuple[PreparedByteRangeDigest, io.BytesIO]:
    """Write the document with room for the signature, and hash all of it but that room."""
    writer = UpdateWriter(io.BytesIO(pdf))
    if any(enumerate_sig_fields(writer.prev, filled_status=True)):
        raise AlreadySigned("The document carries a signature already.")
    field = SigFieldSpec(
        field_name, invis_sig_settings=INVISIBLE, readable_field_name="Tanda tangan elektronik"
    )
    steps = PdfCMSEmbedder(new_field_spec=field).write_cms(field_name, writer)
    widget = next(steps).get_object()
    if "/P" in widget:
        _follow_structure_when_tabbing(writer, widget["/P"])
    no_changes = SigMDPSetup(md_algorithm="sha256", certify=True, docmdp_perms=MDPPerm.NO_CHANGES)
    steps.send(SigObjSetup(sig_placeholder=placeholder, mdp_setup=no_changes))
    prepared, output = steps.send(SigIOSetup(md_algorithm="sha256", in_place=True))
    return prepared, output


def _follow_structure_when_tabbing(writer: UpdateWriter, page: generic.DictionaryObject) -> None:
    """Set the tab order that PDF/UA wants on a page with any annotation (ISO 14289-1 §7.18.3)."""
    if page.get("/Tabs") != "/S":
        page["/Tabs"] = generic.pdf_name("/S")
        writer.update_container(page)


def _timestamps(
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
