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
from pyhanko.sign.ades.report import AdESIndeterminate, AdESPassed
from pyhanko.sign.general import extract_certificate_info
from pyhanko.sign.validation.ades import ades_timestamp_validation
from pyhanko.sign.validation.pdf_embedded import EmbeddedPdfSignature
from pyhanko.sign.validation.policy_decl import LocalKnowledge
from pyhanko_certvalidator.revinfo.archival import CRLContainer, OCSPContainer

from signing.judgement import Judged, Judgement, judge_digest, judge_signature, rest_on, time_stamp_tokens
from signing.trust import Trust, judge_at
from signing.update import run

_CLOCK_SKEW = timedelta(minutes=1)
"""How far the clocks of two time-stamping authorities may differ."""


def embedded_knowledge(
    document: PdfFileReader | HistoricalResolver, parsed: LocalKnowledge | None = None
) -> LocalKnowledge:
    """Read the certificates, CRLs and OCSP responses that a document's DSS holds, believing none yet.

    Certificates and lists that were `parsed` already are not parsed again, and those of the same bytes are
    the same objects. Raises whatever the parsers raise for malformed structures.
    """
    if "/DSS" not in document.root:
        return LocalKnowledge()
    store = document.root["/DSS"]

    def read(kind: str, purpose: DecodePurpose) -> list[bytes]:
        return [each.get_object().read_data(purpose) for each in store.get(kind, ())]

    parsed = parsed or LocalKnowledge()
    certificates = {each.dump(): each for each in parsed.known_certs}
    lists = {each.crl_data.dump(): each for each in parsed.known_crls}
    return LocalKnowledge(
        known_certs=[
            certificates.get(der) or asn1_x509.Certificate.load(der)
            for der in read("/Certs", DecodePurpose.CERTIFICATE)
        ],
        known_crls=[
            lists.get(der) or CRLContainer(asn1_crl.CertificateList.load(der))
            for der in read("/CRLs", DecodePurpose.CRL)
        ],
        known_ocsps=[
            container
            for der in read("/OCSPs", DecodePurpose.OCSP_RESPONSE)
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


def judge_archived(signature: EmbeddedPdfSignature, trust: Trust, at: datetime) -> Judgement:
    """Judge a signature under archive time stamps.

    The last time stamp must hold at `at`. Each proves that what it covers existed at its time: there the
    one before it must have held, and at the time of the first the signature with its own time stamp, each
    by the validation data in the document of then (EN 319 102-1 §5.6.3.4). A signature without a time stamp
    of its own is proven at the time of the first (EN 319 142-1 §6.3). `trust` knows all validation data;
    what came later can only speak against a certificate, by a revocation before its use.
    """
    crls = trust.knowledge.known_crls
    judged: list[Judged] = []
    for stamp in reversed(archive_stamps(signature)):
        judged.append(_judge_stamp(stamp, trust, at, crls))
        if judged[-1].sub_indication is not AdESPassed.OK:
            return Judgement(judged[-1].sub_indication, archive_stamps=tuple(judged))
        at = stamped_at(stamp)
        covered = signature.reader.get_historical_resolver(stamp.signed_revision)
        trust = replace(trust, knowledge=embedded_knowledge(covered, trust.knowledge))
    found = replace(judge_signature(signature, trust, at), archive_stamps=tuple(judged))
    if found.signature is None or (time_stamp_tokens(signature) and not found.proven_at):
        return found
    proven_at = found.proven_at or at
    late = is_revoked(found.signature.path, crls, proven_at)
    if found.own_stamp:
        late = late or is_revoked(found.own_stamp.path, crls, at)
    passed = found.sub_indication is AdESPassed.OK
    return replace(
        found,
        sub_indication=AdESIndeterminate.REVOKED_NO_POE if passed and late else found.sub_indication,
        proven_at=proven_at,
    )


def _judge_stamp(
    stamp: EmbeddedPdfSignature, trust: Trust, at: datetime, late_crls: Sequence[CRLContainer]
) -> Judged:
    """Judge a document time stamp by what must hold of it at a later time."""
    certificate = extract_certificate_info(stamp.signed_data).signer_cert
    strong = judge_digest(stamp.external_md_algorithm, trust, at)
    if strong is not AdESPassed.OK:
        return Judged(strong, at, trust, path=(certificate,))
    end = min(certificate.not_valid_after, at + _CLOCK_SKEW)
    if not certificate.not_valid_before <= stamped_at(stamp) <= end:
        return Judged(AdESIndeterminate.TIMESTAMP_ORDER_FAILURE, at, trust, path=(certificate,))
    digest: bytes = stamp.compute_digest()
    result = run(
        ades_timestamp_validation(
            stamp.signed_data,
            # The digest is by the algorithm that the time stamp itself names.
            expected_tst_imprint=lambda _algorithm: digest,
            **judge_at(trust, at),
        )
    )
    judged = rest_on(Judged(result.ades_subindic, at, trust, path=(certificate,)), result.api_status)
    late = result.ades_subindic is AdESPassed.OK and is_revoked(judged.path, late_crls, at)
    return replace(judged, sub_indication=AdESIndeterminate.REVOKED_NO_POE) if late else judged


def stamped_at(stamp: EmbeddedPdfSignature) -> datetime:
    """Read the time that a document time stamp states."""
    at: datetime = stamp.signed_data["encap_content_info"]["content"].parsed["gen_time"].native
    return at


def is_revoked(
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
