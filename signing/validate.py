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
from pyhanko.pdf_utils.decode_limits import DecodeLimits
from pyhanko.pdf_utils.reader import HistoricalResolver, PdfFileReader
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
from signing.trust import Anchors, Trust, read_lists


class Indication(StrEnum):
    """The three answers of EN 319 102-1 §5.1.3."""

    TOTAL_PASSED = "TOTAL-PASSED"
    INDETERMINATE = "INDETERMINATE"
    TOTAL_FAILED = "TOTAL-FAILED"


_SEVERITY = (Indication.TOTAL_PASSED, Indication.INDETERMINATE, Indication.TOTAL_FAILED)


@dataclass(frozen=True)
class SignatureReport:
    """What was found about one signature.

    `reasons` is empty exactly when `indication` is TOTAL-PASSED; each reason is a stable code, an ETSI
    sub-indication in lower case or one of ours: `not_pades`, `malformed_signature`, `container_altered`,
    `not_whole_file`, `modified_after_signing`, `certification_violated`. `container_sha256` (hex) names the
    signature's DER; nothing when it is malformed. `level` is B-B, B-T, B-LT or B-LTA;
    nothing when it is not PAdES. `signed_at` is the signer's claim, `timestamped_at` the time proven by a
    valid signature time stamp. `coverage_entire_file` is false also where only
    validation data follows the last signature or document time stamp. `modification_level` is NONE,
    LTA_UPDATES, FORM_FILLING, ANNOTATIONS or OTHER. `details` are there when they were asked for and the
    signature is not malformed.
    """

    field_name: str
    container_sha256: str | None
    indication: Indication
    sub_indication: str | None
    reasons: tuple[str, ...]
    level: str | None
    signer: str | None
    signer_serial: str | None
    signer_certificate: bytes | None
    signed_at: datetime | None
    timestamped_at: datetime | None
    coverage_entire_file: bool
    modification_level: str
    docmdp_ok: bool
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
    decode_limits: DecodeLimits | None = None,
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
    try:
        reader = PdfFileReader(io.BytesIO(pdf), strict=True, decode_limits=decode_limits)
        found = bool(reader.root.get("/AcroForm"))
        encrypted = reader.encrypted
    except MemoryError:
        raise
    except Exception as error:  # Parsers leak whatever a hostile file provokes.
        raise UnreadableDocument("The file cannot be read as a PDF document.") from error
    if encrypted:
        raise UnreadableDocument("The document is encrypted.")
    try:
        signatures = reader.embedded_regular_signatures if found else []
        unknown = found and _has_unknown_signature(reader)
    except MemoryError:
        raise
    except Exception:
        return _malformed()
    if unknown:
        return _malformed()
    if not signatures:
        return ValidationReport(Indication.INDETERMINATE, None, ("no_signature",), ())
    anchors = Anchors(trust_anchors, time_anchors)
    trust = Trust(anchors, policy or current_policy())
    reports = tuple(
        _validate_signature(pdf, signature, trust, crls, at, detailed=detailed) for signature in signatures
    )
    worst = max(reports, key=lambda report: _SEVERITY.index(report.indication))
    reasons = tuple(dict.fromkeys(reason for report in reports for reason in report.reasons))
    return ValidationReport(worst.indication, worst.sub_indication, reasons, reports)


def _has_unknown_signature(reader: PdfFileReader) -> bool:
    """Tell whether a filled signature field holds what is neither a signature nor a document time stamp.

    pyHanko passes over those silently, as if what they cover had no such signature.
    """
    known = [*reader.embedded_regular_signatures, *reader.embedded_timestamp_signatures]
    return len(list(enumerate_sig_fields(reader, filled_status=True))) != len(known)


def _malformed() -> ValidationReport:
    return ValidationReport(Indication.TOTAL_FAILED, "FORMAT_FAILURE", ("malformed_signature",), ())


def _know(trust: Trust, signature: EmbeddedPdfSignature, crls: Sequence[bytes]) -> Trust:
    """Add what is known about revocation, and so whose revocation must be known."""
    embedded = embedded_knowledge(signature.reader)
    lists = [*read_lists(crls), *embedded.known_crls]
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
"""The checks of a signature's place in the file, and the reason that each gives when it fails."""


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
    try:
        trust = _know(trust, signature, crls)
        signature.compute_integrity_info()  # type: ignore[no-untyped-call]
        integrity = _integrity(pdf, signature)
        level = _level(signature)
        judge = judge_archived if archive_stamps(signature) else judge_signature
        judgement = judge(signature, trust, at)
        sub_indication = judge_in_force(signature.signer_cert, judgement)
        faults = _find_faults(integrity, level)
        in_file = [Check(check, fault not in faults) for check, fault in _CHECKS_IN_FILE.items()]
        indication, name = indicate(sub_indication, faults)
        return SignatureReport(
            field_name=_plain(signature.field_name),
            container_sha256=fingerprint(signature.pkcs7_content),
            indication=indication,
            sub_indication=name,
            reasons=name_reasons(sub_indication, faults),
            level=level,
            signer=name_signer(signature.signer_cert),
            signer_serial=f"{signature.signer_cert.serial_number:x}",
            signer_certificate=signature.signer_cert.dump(),
            signed_at=signature.self_reported_timestamp,
            timestamped_at=judgement.proven_at,
            coverage_entire_file=integrity.coverage_entire_file,
            modification_level=integrity.modification_level,
            docmdp_ok=integrity.docmdp_ok,
            details=_tell(signature, judgement, sub_indication, in_file, at) if detailed else None,
        )
    except SignatureValidationError as error:
        # Without its certificate nothing else can be told of a signature (EN 319 102-1 §5.2.3).
        indication, name = indicate(error.ades_subindication, ())
        return _bare_report(_plain(signature.field_name), indication, name, name.lower() if name else "")
    except MemoryError:
        raise
    except Exception:  # The parts of a signature are parsed as late as here, and leak as the file's do.
        return _bare_report(
            _plain(signature.field_name), Indication.TOTAL_FAILED, "FORMAT_FAILURE", "malformed_signature"
        )


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


def _plain(text: str) -> str:
    """Free a string from the document that pyHanko's own kinds of strings hold on to."""
    return str(text)


def name_signer(certificate: asn1_x509.Certificate) -> str | None:
    """Read the common name that a certificate gives: it may have none, or several."""
    names = (certificate.subject.native or {}).get("common_name")
    return ", ".join(names) if isinstance(names, list) else names


def _bare_report(
    field_name: str, indication: Indication, sub_indication: str | None, reason: str
) -> SignatureReport:
    return SignatureReport(
        field_name=field_name,
        container_sha256=None,
        indication=indication,
        sub_indication=sub_indication,
        reasons=(reason,),
        level=None,
        signer=None,
        signer_serial=None,
        signer_certificate=None,
        signed_at=None,
        timestamped_at=None,
        coverage_entire_file=False,
        modification_level="OTHER",
        docmdp_ok=False,
    )


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
    issuer = signature.signer_cert.issuer
    if not _tells_of(embedded_knowledge(signature.reader), issuer):
        return "B-T"
    if not stamps:
        return "B-LT"
    covered = HistoricalResolver(signature.reader, revision=stamps[-1].signed_revision)
    return "B-LTA" if _tells_of(embedded_knowledge(covered), issuer) else "B-LT"


def _tells_of(knowledge: LocalKnowledge, issuer: asn1_x509.Name) -> bool:
    return bool(knowledge.known_ocsps) or any(each.crl_data.issuer == issuer for each in knowledge.known_crls)


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


def _find_faults(integrity: _Integrity, level: str | None) -> tuple[str, ...]:
    """List what does not hold of the file, by its codes."""
    faults = {
        "not_pades": level is None,
        "container_altered": not integrity.container_intact,
        "not_whole_file": not integrity.nothing_beside,
        "modified_after_signing": integrity.modification_level not in ("NONE", "LTA_UPDATES"),
        "certification_violated": not integrity.docmdp_ok,
    }
    return tuple(code for code, present in faults.items() if present)


def indicate(sub_indication: AdESSubIndic, faults: tuple[str, ...]) -> tuple[Indication, str | None]:
    """Join the ETSI indication with what must hold of the file. The gravest finding names itself."""
    name = sub_indication.standard_name
    if sub_indication.status is AdESStatus.FAILED:
        return Indication.TOTAL_FAILED, name
    if faults:
        return Indication.TOTAL_FAILED, "FORMAT_FAILURE"
    if sub_indication.status is AdESStatus.INDETERMINATE:
        return Indication.INDETERMINATE, name
    return Indication.TOTAL_PASSED, None


def name_reasons(sub_indication: AdESSubIndic, faults: tuple[str, ...]) -> tuple[str, ...]:
    """Give the codes: those of the file go before what is merely indeterminate."""
    status = sub_indication.status
    named = status is AdESStatus.FAILED or (status is AdESStatus.INDETERMINATE and not faults)
    return (sub_indication.standard_name.lower(), *faults) if named else faults
