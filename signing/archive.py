"""Judges what outlives its certificates: validation data in the document, and document time stamps over it.

EN 319 142-1 §5.4 and §5.5 say how a document carries them, EN 319 102-1 §5.6 how they are judged. pyHanko's
`ades_lta_validation` is not used: with revocation lists it finds no proof for certificates that an
intermediate authority issued, lets a list from after their end speak against them, goes on when the archive
time stamps fail, and reads the machine's clock.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from asn1crypto import crl as asn1_crl
from asn1crypto import ocsp as asn1_ocsp
from asn1crypto import x509 as asn1_x509
from pyhanko.pdf_utils.decode_limits import DecodePurpose
from pyhanko.pdf_utils.reader import HistoricalResolver, PdfFileReader
from pyhanko.sign.ades.report import AdESIndeterminate, AdESPassed, AdESSubIndic
from pyhanko.sign.general import extract_certificate_info
from pyhanko.sign.validation.ades import (
    ades_basic_validation,
    ades_timestamp_validation,
    ades_with_time_validation,
)
from pyhanko.sign.validation.dss import DocumentSecurityStore
from pyhanko.sign.validation.pdf_embedded import EmbeddedPdfSignature
from pyhanko.sign.validation.policy_decl import (
    LocalKnowledge,
    SignatureValidationSpec,
    bootstrap_validation_data_handlers,
)
from pyhanko.sign.validation.status import SignatureStatus, TimestampSignatureStatus
from pyhanko_certvalidator.context import ValidationDataHandlers
from pyhanko_certvalidator.ltv.poe import POEManager
from pyhanko_certvalidator.ltv.types import ValidationTimingInfo
from pyhanko_certvalidator.revinfo.archival import CRLContainer, OCSPContainer

from signing.update import run

SIGNATURE_TIME_STAMP = "signature_time_stamp_token"

_DIGESTS = ("sha256", "sha384", "sha512")

_CLOCK_SKEW = timedelta(minutes=1)
"""How far the clocks of two time-stamping authorities may differ."""


def embedded_knowledge(document: PdfFileReader | HistoricalResolver) -> LocalKnowledge:
    """Read the certificates, CRLs and OCSP responses that a document's DSS holds, believing none yet.

    Raises whatever the parsers raise for malformed structures.
    """
    if "/DSS" not in document.root:
        return LocalKnowledge()
    store = DocumentSecurityStore.read_dss(document)
    crls = [each.get_object().read_data(DecodePurpose.CRL) for each in store.crls]
    responses = [each.get_object().read_data(DecodePurpose.OCSP_RESPONSE) for each in store.ocsps]
    return LocalKnowledge(
        known_certs=list(store.load_certs()),
        known_crls=[CRLContainer(asn1_crl.CertificateList.load(der)) for der in crls],
        known_ocsps=[
            container
            for der in responses
            for container in OCSPContainer.load_multi(asn1_ocsp.OCSPResponse.load(der))
        ],
    )


def archive_stamps(signature: EmbeddedPdfSignature) -> list[EmbeddedPdfSignature]:
    """List the document time stamps that came after a signature, in their order."""
    return [
        stamp
        for stamp in signature.reader.embedded_timestamp_signatures
        if stamp.signed_revision > signature.signed_revision
    ]


def judge_at(
    at: datetime, policy: SignatureValidationSpec
) -> tuple[ValidationTimingInfo, ValidationDataHandlers]:
    """Give pyHanko the time to judge at, which its own handlers would take from the machine's clock."""
    timing = ValidationTimingInfo(validation_time=at, best_signature_time=at, point_in_time_validation=True)
    poes = POEManager(current_dt_override=at)
    return timing, bootstrap_validation_data_handlers(policy, timing, poe_manager_override=poes)


def judge_archived(
    signature: EmbeddedPdfSignature, policy: SignatureValidationSpec, at: datetime
) -> tuple[AdESSubIndic, datetime | None]:
    """Judge a signature under archive time stamps; give the sub-indication and its proven time.

    The last time stamp must hold at `at`. Each proves that what it covers existed at its time: there the
    one before it must have held, and at the time of the first the signature with its own time stamp, each
    by the validation data in the document of then (EN 319 102-1 §5.6.3.4). A signature without a time stamp
    of its own is proven at the time of the first (EN 319 142-1 §6.3). `policy` knows all validation data;
    what came later can only speak against a certificate, by a revocation before its use.
    """
    crls = policy.local_knowledge.known_crls
    for stamp in reversed(archive_stamps(signature)):
        found, used = _judge_stamp(stamp, policy, at)
        if found is not AdESPassed.OK:
            return found, None
        if _revoked(used, crls, at):
            return AdESIndeterminate.REVOKED_NO_POE, None
        at = _stamped_at(stamp)
        covered = HistoricalResolver(signature.reader, revision=stamp.signed_revision)
        policy = replace(policy, local_knowledge=embedded_knowledge(covered))
    stamped = is_time_stamped(signature)
    timing, handlers = judge_at(at, policy)
    result = run(
        (ades_with_time_validation if stamped else ades_basic_validation)(
            signature.signed_data,
            policy,
            timing_info=timing,
            raw_digest=signature.compute_digest(),
            validation_data_handlers=handlers,
        )
    )
    status = result.api_status
    proof: TimestampSignatureStatus | None = status.timestamp_validity if status else None
    if not status or (stamped and not (proof and proof.valid and proof.trusted)):
        return result.ades_subindic, None
    proven_at = proof.timestamp if proof else at
    late = (proof and _revoked(_used(proof), crls, at)) or _revoked(_used(status), crls, proven_at)
    passed = result.ades_subindic is AdESPassed.OK
    return AdESIndeterminate.REVOKED_NO_POE if passed and late else result.ades_subindic, proven_at


def is_time_stamped(signature: EmbeddedPdfSignature) -> bool:
    """Tell whether a signature carries a time stamp of its own (EN 319 122-1 §5.3)."""
    unsigned = signature.signer_info["unsigned_attrs"] or ()
    return any(attribute["type"].native == SIGNATURE_TIME_STAMP for attribute in unsigned)


def _judge_stamp(
    stamp: EmbeddedPdfSignature, policy: SignatureValidationSpec, at: datetime
) -> tuple[AdESSubIndic, list[asn1_x509.Certificate]]:
    """Judge a document time stamp by what must hold of it at a later time; give the certificates used."""
    certificate = extract_certificate_info(stamp.signed_data).signer_cert
    stamped_at = _stamped_at(stamp)
    if stamp.external_md_algorithm not in _DIGESTS:
        return AdESIndeterminate.CRYPTO_CONSTRAINTS_FAILURE, []
    if not certificate.not_valid_before <= stamped_at <= min(certificate.not_valid_after, at + _CLOCK_SKEW):
        return AdESIndeterminate.TIMESTAMP_ORDER_FAILURE, []
    timing, handlers = judge_at(at, policy)
    digest: bytes = stamp.compute_digest()
    result = run(
        ades_timestamp_validation(
            stamp.signed_data,
            policy,
            # The digest is by the algorithm that the time stamp itself names.
            expected_tst_imprint=lambda _algorithm: digest,
            timing_info=timing,
            validation_data_handlers=handlers,
        )
    )
    return result.ades_subindic, _used(result.api_status) if result.api_status else []


def _used(status: SignatureStatus) -> list[asn1_x509.Certificate]:
    """List the certificates that a validation rests on, without the trust anchor."""
    path = status.validation_path
    return list(path.iter_certs(include_root=False)) if path else [status.signing_cert]


def _stamped_at(stamp: EmbeddedPdfSignature) -> datetime:
    at: datetime = stamp.signed_data["encap_content_info"]["content"].parsed["gen_time"].native
    return at


def _revoked(
    certificates: Sequence[asn1_x509.Certificate], crls: Sequence[CRLContainer], at: datetime
) -> bool:
    """Tell whether any list, however late, says that one of the certificates was revoked at the time."""
    return any(
        entry["user_certificate"].native == certificate.serial_number
        and entry["revocation_date"].native <= at
        for certificate in certificates
        for each in crls
        if each.crl_data.issuer == certificate.issuer
        for entry in each.crl_data["tbs_cert_list"]["revoked_certificates"] or ()
    )
