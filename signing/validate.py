"""Validates the signatures of a PDF (EN 319 102-1, EN 319 142-1) without any network.

pyHanko's own verdicts are not enough: they pass documents that were appended to, or changed inside the
room of the signature. Here a signature passes only when the ETSI indication does, nothing in the file lies
outside what is signed, nothing was modified, and what the certification permits was kept.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from asn1crypto import x509 as asn1_x509
from cryptography import x509
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.ades.report import AdESIndeterminate, AdESPassed, AdESStatus, AdESSubIndic
from pyhanko.sign.diff_analysis import DiffResult, ModificationLevel
from pyhanko.sign.fields import SigSeedSubFilter, enumerate_sig_fields
from pyhanko.sign.validation.errors import SignatureValidationError
from pyhanko.sign.validation.pdf_embedded import EmbeddedPdfSignature
from pyhanko.sign.validation.policy_decl import LocalKnowledge
from pyhanko.sign.validation.status import SignatureCoverageLevel

from signing.archive import archive_stamps, embedded_knowledge, judge_archived
from signing.container import container_intact, updates_intact
from signing.details import Check, SignatureDetails, detail_signature
from signing.errors import UnreadableDocument
from signing.judgement import Judgement, judge_signature, time_stamp_tokens
from signing.policy import Policy, current_policy
from signing.provenance import fingerprint
from signing.revisions import UpdatePolicy
from signing.trust import Anchors, Trust, read_lists


class Indication(StrEnum):
    """The three answers of EN 319 102-1 §5.1.3."""

    TOTAL_PASSED = "TOTAL-PASSED"
    INDETERMINATE = "INDETERMINATE"
    TOTAL_FAILED = "TOTAL-FAILED"


_SEVERITY = (Indication.TOTAL_PASSED, Indication.INDETERMINATE, Indication.TOTAL_FAILED)

MALFORMED = (Indication.TOTAL_FAILED, "FORMAT_FAILURE", ("malformed_signature",))
"""The indication, sub-indication and reasons of what cannot be parsed as a signature."""


@dataclass(frozen=True)
class SignatureReport:
    """What was found about one signature.

    `reasons` is empty exactly when `indication` is TOTAL-PASSED; each reason is a stable code, an ETSI
    sub-indication in lower case or one of ours: `not_pades`, `malformed_signature`, `container_altered`,
    `not_whole_file`, `modified_after_signing`, `certification_violated`. `container_sha256` (hex) names the
    signature's DER. `level` is B-B, B-T, B-LT or B-LTA; nothing when it is not PAdES. `signed_at` is the
    signer's claim, `timestamped_at` the time proven by a valid signature time stamp. `coverage_entire_file`
    is false also where only validation data follows the last signature or document time stamp.
    `modification_level` is NONE, LTA_UPDATES, FORM_FILLING, ANNOTATIONS or OTHER. `details` are there when
    they were asked for. Of a signature that is malformed, or lacks its certificate, only the reason is told.
    """

    field_name: str
    indication: Indication
    sub_indication: str | None
    reasons: tuple[str, ...]
    container_sha256: str | None = None
    level: str | None = None
    signer: str | None = None
    signer_serial: str | None = None
    signer_certificate: bytes | None = None
    signed_at: datetime | None = None
    timestamped_at: datetime | None = None
    coverage_entire_file: bool = False
    modification_level: str = "OTHER"
    docmdp_ok: bool = False
    details: SignatureDetails | None = None


@dataclass(frozen=True)
class ValidationReport:
    """What was found about a document: the worst indication among its signatures, and each of them.

    A document without a signature is INDETERMINATE for the reason `no_signature`. All values can be
    pickled, so a report may cross from a child process.
    """

    indication: Indication
    sub_indication: str | None
    reasons: tuple[str, ...]
    signatures: tuple[SignatureReport, ...]

    @property
    def signature(self) -> SignatureReport | None:
        """The first signature, which for a permit document is the certifying one."""
        return self.signatures[0] if self.signatures else None


def validate_document(
    pdf: bytes,
    trust_anchors: Sequence[x509.Certificate],
    *,
    at: datetime,
    crls: Sequence[bytes] = (),
    time_anchors: Sequence[x509.Certificate] = (),
    policy: Policy | None = None,
    detailed: bool = False,
) -> ValidationReport:
    """Validate every signature of a PDF at the time `at` (aware), up to the given trust anchors only.

    `time_anchors` are trusted for time stamps alone: roots of other houses' time-stamping authorities, and
    certificates between. `policy` says which algorithms and how old revocation data are accepted: the current
    one unless told. Algorithms are judged at the proven time of what they were used for.

    Without `crls` (DER), and validation data in the document, revocation is not judged. With them, every
    certificate below an authority must be found unrevoked on a CRL, or by an OCSP response, that is fresh
    `at`; authorities' own certificates as soon as a trust anchor's CRL is among them. What the document
    carries grows stale: to judge B-LT bring fresh CRLs of all issuers, for B-LTA of those of the last
    archive time stamp, and keep past trust anchors. Nothing is ever fetched.

    Call it in a process that may be killed when the bytes come from strangers: comparing revisions can take
    exponential time.

    Raises UnreadableDocument when the bytes cannot be read as a PDF, MemoryError when a limit of the process
    is reached, and nothing else for hostile input.
    """
    signatures = _find_signatures(pdf)
    if signatures is None:
        return ValidationReport(*MALFORMED, ())
    if not signatures:
        return ValidationReport(Indication.INDETERMINATE, None, ("no_signature",), ())
    trust = Trust(Anchors(trust_anchors, time_anchors), policy or current_policy())
    reports = tuple(
        _validate_signature(pdf, signature, trust, crls, at, detailed=detailed) for signature in signatures
    )
    worst = max(reports, key=lambda report: _SEVERITY.index(report.indication))
    reasons = tuple(dict.fromkeys(reason for report in reports for reason in report.reasons))
    return ValidationReport(worst.indication, worst.sub_indication, reasons, reports)


def _find_signatures(pdf: bytes) -> list[EmbeddedPdfSignature] | None:
    """List a document's signatures, or give nothing when what a field holds in place of one is unknown.

    Raises UnreadableDocument when there is no document to look into.
    """
    try:
        reader = PdfFileReader(io.BytesIO(pdf), strict=True)
        form = reader.root.get("/AcroForm")
    except MemoryError:
        raise
    except Exception as error:  # Parsers leak whatever a hostile file provokes.
        raise UnreadableDocument("The file cannot be read as a PDF document.") from error
    if reader.encrypted:
        raise UnreadableDocument("The document is encrypted.")
    if not form:
        return []
    try:
        signatures: list[EmbeddedPdfSignature] = reader.embedded_regular_signatures
        filled = list(enumerate_sig_fields(reader, filled_status=True))
    except MemoryError:
        raise
    except Exception:  # The parsers of signatures leak as much.
        return None
    # pyHanko passes silently over what is neither a signature nor a document time stamp.
    known = len(signatures) + len(reader.embedded_timestamp_signatures)
    return signatures if len(filled) == known else None


def _know(trust: Trust, signature: EmbeddedPdfSignature, crls: Sequence[bytes]) -> Trust:
    """Add what is known about revocation, and so whose revocation must be known."""
    embedded = embedded_knowledge(signature.reader)
    known = {each.crl_data.dump(): each for each in (*read_lists(crls), *embedded.known_crls)}
    lists = list(known.values())
    archived = bool(archive_stamps(signature))
    return replace(
        trust,
        knowledge=replace(embedded, known_crls=lists),
        judges_signers=archived or bool(lists or embedded.known_ocsps),
        judges_authorities=archived or trust.anchors.have_list(lists),
    )


_CHECKS_IN_FILE = {
    "format": "not_pades",
    "container": "container_altered",
    "coverage": "not_whole_file",
    "modifications": "modified_after_signing",
    "certification": "certification_violated",
}
"""The checks of a signature's place in the file, and the fault that each finds when it fails."""


@dataclass(frozen=True)
class _Integrity:
    """What holds of a signature's place in the file, whoever signed."""

    container_intact: bool
    coverage_entire_file: bool
    nothing_beside: bool
    modification_level: str
    docmdp_ok: bool


def _validate_signature(
    pdf: bytes,
    signature: EmbeddedPdfSignature,
    trust: Trust,
    crls: Sequence[bytes],
    at: datetime,
    *,
    detailed: bool,
) -> SignatureReport:
    # pyHanko's own kinds of strings hold on to the document.
    field_name = str(signature.field_name)
    try:
        trust = _know(trust, signature, crls)
        signature.compute_integrity_info(UpdatePolicy())  # type: ignore[no-untyped-call]
        integrity = _integrity(pdf, signature)
        level = _level(signature)
        judge = judge_archived if archive_stamps(signature) else judge_signature
        judgement = judge(signature, trust, at)
        found = judge_in_force(signature.signer_cert, judgement)
        in_file = _check_in_file(integrity, level)
        faults = tuple(_CHECKS_IN_FILE[check.name] for check in in_file if not check.passed)
        return SignatureReport(
            field_name,
            *indicate(found, faults),
            container_sha256=fingerprint(signature.pkcs7_content),
            level=level,
            signer=name_signer(signature.signer_cert),
            signer_serial=f"{signature.signer_cert.serial_number:x}",
            signer_certificate=signature.signer_cert.dump(),
            signed_at=signature.self_reported_timestamp,
            timestamped_at=judgement.proven_at,
            coverage_entire_file=integrity.coverage_entire_file,
            modification_level=integrity.modification_level,
            docmdp_ok=integrity.docmdp_ok,
            details=_tell(signature, judgement, found, in_file, at) if detailed else None,
        )
    except SignatureValidationError as error:
        # Without its certificate nothing else can be told of a signature (EN 319 102-1 §5.2.3).
        return SignatureReport(field_name, *indicate(error.ades_subindication))
    except MemoryError:
        raise
    except Exception:  # The parts of a signature are parsed as late as here, and leak as the file's do.
        return SignatureReport(field_name, *MALFORMED)


def _tell(
    signature: EmbeddedPdfSignature,
    judgement: Judgement,
    sub_indication: AdESSubIndic,
    in_file: Sequence[Check],
    at: datetime,
) -> SignatureDetails | None:
    try:
        return detail_signature(signature, judgement, sub_indication, in_file, at)
    except MemoryError:
        raise
    except Exception:  # What cannot be told of in detail is judged all the same.
        return None


def name_signer(certificate: asn1_x509.Certificate) -> str | None:
    """Read the common name that a certificate gives: it may have none, or several."""
    names = certificate.subject.native.get("common_name")
    return ", ".join(names) if isinstance(names, list) else names


def judge_in_force(certificate: asn1_x509.Certificate, judgement: Judgement) -> AdESSubIndic:
    """Judge the proven time of signing by the signer's certificate (EN 319 102-1 §5.5.4).

    pyHanko compares the two only when the certificate is out of bounds at the time of validation, and then
    only with its beginning.
    """
    signed = judgement.proven_at
    if judgement.sub_indication is not AdESPassed.OK or signed is None:
        return judgement.sub_indication
    if signed < certificate.not_valid_before:
        return AdESIndeterminate.NOT_YET_VALID
    return AdESIndeterminate.EXPIRED if signed > certificate.not_valid_after else AdESPassed.OK


def _level(signature: EmbeddedPdfSignature) -> str | None:
    """Name the PAdES baseline level that the signature has the parts of (EN 319 142-1 §6), if any.

    The trusted time of B-T is in a signature time stamp or, without one, in a document time stamp.
    """
    signed = {attribute["type"].native for attribute in signature.signer_info["signed_attrs"] or ()}
    cades = signature.sig_object.get("/SubFilter") == SigSeedSubFilter.PADES.value
    if not cades or not signed & {"signing_certificate", "signing_certificate_v2"}:
        return None
    stamps = archive_stamps(signature)
    if not (stamps or time_stamp_tokens(signature)):
        return "B-B"
    signer = signature.signer_cert
    if not _tells_of(embedded_knowledge(signature.reader), signer):
        return "B-T"
    if not stamps:
        return "B-LT"
    covered = signature.reader.get_historical_resolver(stamps[-1].signed_revision)
    return "B-LTA" if _tells_of(embedded_knowledge(covered), signer) else "B-LT"


def _tells_of(knowledge: LocalKnowledge, certificate: asn1_x509.Certificate) -> bool:
    """Tell whether a list of its issuer is known, or an OCSP response about the certificate."""
    answers = (each.extract_single_response() for each in knowledge.known_ocsps)
    asked = {each["cert_id"]["serial_number"].native for each in answers if each is not None}
    listed = any(each.crl_data.issuer == certificate.issuer for each in knowledge.known_crls)
    return listed or certificate.serial_number in asked


def _integrity(pdf: bytes, signature: EmbeddedPdfSignature) -> _Integrity:
    difference = signature.diff_result
    modification = (
        difference.modification_level if isinstance(difference, DiffResult) else ModificationLevel.OTHER
    )
    covering = [signature, *signature.reader.embedded_timestamp_signatures]
    entire = _end(covering[-1]) == len(pdf)
    # Validation data that no archive time stamp covers yet may follow what is signed, and nothing else.
    updated = modification is ModificationLevel.LTA_UPDATES and updates_intact(pdf, _end(covering[-1]))
    return _Integrity(
        container_intact=all(container_intact(pdf, each) for each in covering),
        coverage_entire_file=entire,
        nothing_beside=(entire or updated) and all(_covers_its_revision(each) for each in covering),
        modification_level=modification.name,
        docmdp_ok=bool(signature.summarise_integrity_info()["docmdp_ok"]),
    )


def _covers_its_revision(signature: EmbeddedPdfSignature) -> bool:
    """Tell whether a signature, or document time stamp, covers every byte up to the end of its revision."""
    covered = signature.evaluate_signature_coverage()
    return covered in (SignatureCoverageLevel.ENTIRE_FILE, SignatureCoverageLevel.ENTIRE_REVISION)


def _end(signature: EmbeddedPdfSignature) -> int:
    _, _, start, length = signature.byte_range
    return int(start + length)


def _check_in_file(integrity: _Integrity, level: str | None) -> list[Check]:
    """Check what must hold of the file, whoever signed and whenever."""
    passed = {
        "format": level is not None,
        "container": integrity.container_intact,
        "coverage": integrity.nothing_beside,
        "modifications": integrity.modification_level in ("NONE", "LTA_UPDATES"),
        "certification": integrity.docmdp_ok,
    }
    return [Check(check, passed[check]) for check in _CHECKS_IN_FILE]


def indicate(
    sub_indication: AdESSubIndic, faults: tuple[str, ...] = ()
) -> tuple[Indication, str | None, tuple[str, ...]]:
    """Join the ETSI sub-indication with the faults of the file: the indication, what names it, the reasons.

    The gravest finding names itself, and faults of the file go before what is merely indeterminate.
    """
    name, code = sub_indication.standard_name, sub_indication.standard_name.lower()
    if sub_indication.status is AdESStatus.FAILED:
        return Indication.TOTAL_FAILED, name, (code, *faults)
    if faults:
        return Indication.TOTAL_FAILED, "FORMAT_FAILURE", faults
    if sub_indication.status is AdESStatus.INDETERMINATE:
        return Indication.INDETERMINATE, name, (code,)
    return Indication.TOTAL_PASSED, None, ()
