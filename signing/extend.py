"""Extends a PAdES signature so that it outlives its certificates: B-LT and B-LTA (EN 319 142-1 §6).

Both are incremental updates that a certified document permits (ISO 32000-2 §12.8.2.2). Nothing is fetched
and nothing is judged here: the caller brings the validation data and validates the result.
"""

import io
from collections.abc import Sequence

from asn1crypto import cms, ocsp
from asn1crypto import crl as asn1_crl
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.signers import PdfTimeStamper
from pyhanko.sign.timestamps import TimeStamper
from pyhanko.sign.validation.dss import DocumentSecurityStore
from pyhanko.sign.validation.pdf_embedded import EmbeddedPdfSignature

from keys.timestamp import Timestamper
from signing.errors import NothingToExtend, SignatureDoesNotFit, UnreadableDocument
from signing.judgement import time_stamp_tokens
from signing.sign import time_stamp_token
from signing.update import INVISIBLE, UpdateWriter, run

ARCHIVE_FIELD_NAME = "CapWaktuArsip"


def extend_to_lt(
    pdf: bytes,
    *,
    certificates: Sequence[x509.Certificate],
    crls: Sequence[bytes],
    ocsp_responses: Sequence[bytes] = (),
) -> bytes:
    """Return the B-T document with validation data in a DSS and its VRI: B-LT (EN 319 142-1 §5.4.2).

    `certificates` are those of the signer, of the time-stamping authority and of their issuers, without the
    trust anchor; `crls` and `ocsp_responses` (DER) tell about each of them. What B-LTA shall prove later
    must be there now: also the CRL of the trust anchor over the issuing authority.

    Raises NothingToExtend without a time-stamped signature, UnreadableDocument, and ValueError for
    validation data that is not DER.
    """
    writer, signatures = _open(pdf)
    signature = next((each for each in signatures if each.sig_object_type == "/Sig"), None)
    if signature is None:
        raise NothingToExtend("The document carries no signature.")
    if not time_stamp_tokens(signature):
        raise NothingToExtend("The signature carries no time stamp, so B-LT would prove no time.")
    _add_validation_data(writer, pdf, signature, certificates, crls, ocsp_responses)
    output = io.BytesIO()
    writer.write(output)  # type: ignore[no-untyped-call]
    return output.getvalue()


def add_archive_timestamp(
    pdf: bytes,
    *,
    timestamper: Timestamper,
    certificates: Sequence[x509.Certificate] = (),
    crls: Sequence[bytes] = (),
    ocsp_responses: Sequence[bytes] = (),
) -> bytes:
    """Return the document under a document time stamp: B-LTA, or its renewal (EN 319 142-1 §5.5).

    The validation data of the last signature or time stamp, as `extend_to_lt` takes them, are added in the
    same update: they must say that its certificate was good until now, so stamp before that certificate or an
    algorithm ends. On a B-LT document they can be left out. What no time stamp covered so far, a B-B
    signature, is proven by this one (EN 319 142-1 §6.3: a document time stamp gives the trusted time too).

    Raises NothingToExtend without validation data to preserve, TimestampUnavailable, SignatureDoesNotFit,
    UnreadableDocument, and ValueError for validation data that is not DER.
    """
    writer, signatures = _open(pdf)
    if not signatures:
        raise NothingToExtend("The document carries no signature.")
    if certificates or crls or ocsp_responses:
        _add_validation_data(writer, pdf, signatures[-1], certificates, crls, ocsp_responses)
    if "/DSS" not in writer.root:
        raise NothingToExtend("The document carries no validation data; it must be extended to B-LT first.")
    archive_stamps = sum(each.sig_object_type == "/DocTimeStamp" for each in signatures)
    stamper = PdfTimeStamper(
        _Stamps(timestamper),
        field_name=f"{ARCHIVE_FIELD_NAME}{archive_stamps + 1}",
        invis_settings=INVISIBLE,
        readable_field_name="Cap waktu arsip",
    )
    # The reserve is counted in hexadecimal digits.
    stamped = run(stamper.async_timestamp_pdf(writer, "sha256", bytes_reserved=2 * timestamper.token_size))
    output: bytes = stamped.getvalue()
    return output


def newest_certificates(pdf: bytes) -> list[x509.Certificate]:
    """Return the certificates in a document's last signature or document time stamp, and its time stamp's.

    They, with their issuers, are what the next extension needs validation data about. Raises
    NothingToExtend without a signature, UnreadableDocument.
    """
    _, signatures = _open(pdf)
    if not signatures:
        raise NothingToExtend("The document carries no signature.")
    newest = signatures[-1]
    containers = [newest.signed_data, *(token["content"] for token in time_stamp_tokens(newest))]
    found = {each.chosen.dump() for container in containers for each in container["certificates"]}
    return [x509.load_der_x509_certificate(der) for der in sorted(found)]


def newest_signer(pdf: bytes) -> x509.Certificate:
    """Return the certificate behind a document's last signature or document time stamp: it ends the proof.

    Raises NothingToExtend without a signature, UnreadableDocument.
    """
    _, signatures = _open(pdf)
    if not signatures:
        raise NothingToExtend("The document carries no signature.")
    return x509.load_der_x509_certificate(signatures[-1].signer_cert.dump())


class _Stamps(TimeStamper):
    """Lets pyHanko stamp with our timestamper."""

    def __init__(self, timestamper: Timestamper) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._timestamper = timestamper

    async def async_timestamp(self, message_digest: bytes, md_algorithm: str) -> cms.ContentInfo:
        token = time_stamp_token(message_digest, self._timestamper)
        if len(token) > self._timestamper.token_size:
            raise SignatureDoesNotFit("The time stamp needs more room than was reserved.")
        return cms.ContentInfo.load(token)


def _open(pdf: bytes) -> tuple[UpdateWriter, list[EmbeddedPdfSignature]]:
    """Open a document for an update, with its signatures and document time stamps in their order."""
    try:
        reader = PdfFileReader(io.BytesIO(pdf))
        signatures = list(reader.embedded_signatures) if "/AcroForm" in reader.root else []
        return UpdateWriter(io.BytesIO(pdf)), signatures
    except Exception as error:  # Parsers leak whatever a broken file provokes.
        raise UnreadableDocument("The document to extend cannot be read as a PDF.") from error


def _add_validation_data(
    writer: UpdateWriter,
    pdf: bytes,
    signature: EmbeddedPdfSignature,
    certificates: Sequence[x509.Certificate],
    crls: Sequence[bytes],
    ocsp_responses: Sequence[bytes],
) -> None:
    _, before, after, _ = signature.byte_range
    DocumentSecurityStore.supply_dss_in_writer(
        writer,
        # The name of a VRI is the hash of the hexadecimal string as the file has it (§5.4.2.3).
        sig_contents=pdf[before + 1 : after - 1],
        certs=[asn1_x509.Certificate.load(each.public_bytes(Encoding.DER)) for each in certificates],
        crls=[asn1_crl.CertificateList.load(der, strict=True) for der in crls],
        ocsps=[ocsp.OCSPResponse.load(der, strict=True) for der in ocsp_responses],
    )
