"""Tells of one signature everything that was checked: the detailed report of a validation.

The steps are those of EN 319 102-1 §5.2 in their order; what comes after the first that failed was not
reached. Only `validate` judges; what is told here restates its judgement and what it rested on.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import repeat

from asn1crypto import cms
from asn1crypto import crl as asn1_crl
from asn1crypto import keys as asn1_keys
from asn1crypto import x509 as asn1_x509
from pyhanko.sign.ades.report import AdESPassed, AdESStatus, AdESSubIndic
from pyhanko.sign.validation.pdf_embedded import EmbeddedPdfSignature
from pyhanko.sign.validation.utils import extract_message_digest
from pyhanko_certvalidator.revinfo.archival import CRLContainer, OCSPContainer

from signing.archive import archive_stamps, stamped_at
from signing.judgement import Judged, Judgement, judge_token, read_time, time_stamp_tokens
from signing.policy import find_signature_rule, is_accepted, name_algorithms
from signing.provenance import fingerprint

STEPS = (
    "signing_certificate",
    "algorithms",
    "integrity",
    "signature_value",
    "certificate_chain",
    "certificate_usage",
    "validity",
    "revocation",
    "time_stamp",
    "archive_time_stamps",
)
"""The checks of the signature itself; those of its place in the file come from `validate`."""
_FAILED_AT = {
    "NO_SIGNING_CERTIFICATE_FOUND": "signing_certificate",
    "CRYPTO_CONSTRAINTS_FAILURE": "algorithms",
    "CRYPTO_CONSTRAINTS_FAILURE_NO_POE": "algorithms",
    "HASH_FAILURE": "integrity",
    "SIG_CRYPTO_FAILURE": "signature_value",
    "NO_CERTIFICATE_CHAIN_FOUND": "certificate_chain",
    "CERTIFICATE_CHAIN_GENERAL_FAILURE": "certificate_chain",
    "CHAIN_CONSTRAINTS_FAILURE": "certificate_usage",
    "NOT_YET_VALID": "validity",
    "EXPIRED": "validity",
    "OUT_OF_BOUNDS_NO_POE": "validity",
    "REVOKED": "revocation",
    "REVOKED_NO_POE": "revocation",
    "REVOKED_CA_NO_POE": "revocation",
    "TRY_LATER": "revocation",
    "TIMESTAMP_ORDER_FAILURE": "time_stamp",
}


@dataclass(frozen=True)
class Check:
    """One check by its stable name; `passed` is nothing when it was not reached or not to be judged."""

    name: str
    passed: bool | None
    found: str | None = None


@dataclass(frozen=True)
class RevocationFound:
    """What the newest list or OCSP response of then says: `good`, `revoked`, or `unknown` without one."""

    status: str
    source: str | None = None
    sha256: str | None = None
    signed_at: datetime | None = None
    next_update: datetime | None = None
    revoked_at: datetime | None = None


@dataclass(frozen=True)
class CertificateFound:
    """A certificate that the judgement rests on, as it stood at the proven time; `der` is its bytes.

    `accepted` and `accepted_until` are what the policy says of the key and algorithm that signed it. A trust
    anchor is believed by its hash, so neither is judged of it, nor its revocation.
    """

    subject: str
    issuer: str
    serial_number: str
    sha256: str
    der: bytes
    is_trust_anchor: bool
    not_before: datetime
    not_after: datetime
    in_force: bool
    key: str
    algorithm: str
    accepted: bool | None
    accepted_until: date | None
    revocation: RevocationFound | None


@dataclass(frozen=True)
class TimeStampFound:
    """A time stamp, `signature` or `archive`, by its DER's SHA-256; judged only if it was reached."""

    kind: str
    sha256: str
    stamped_at: datetime
    judged_at: datetime | None
    passed: bool | None
    sub_indication: str | None
    certificates: tuple[CertificateFound, ...]


@dataclass(frozen=True)
class SignatureDetails:
    """Everything about one signature. `process` is that of EN 319 102-1: `basic`, `with_time`, `archived`.

    Digests and values are bytes: of the document as signed, of the signed attributes, of the signature.
    """

    process: str
    judged_at: datetime
    digest_algorithm: str
    signature_algorithm: str
    document_digest: bytes
    attributes_digest: bytes
    signature_value: bytes
    checks: tuple[Check, ...]
    certificates: tuple[CertificateFound, ...]
    time_stamps: tuple[TimeStampFound, ...]


def detail_signature(
    signature: EmbeddedPdfSignature,
    judgement: Judgement,
    sub_indication: AdESSubIndic,
    in_file: Sequence[Check],
    at: datetime,
) -> SignatureDetails:
    """Tell of a signature judged `at` a time, with the checks of its place in the file before its own.

    Raises whatever the parsers raise for malformed structures.
    """
    signer_info = signature.signer_info
    archived, stamps = archive_stamps(signature), time_stamp_tokens(signature)
    judged = judgement.signature
    name, digest = name_algorithms(signer_info["signature_algorithm"])
    found = [*_own_stamps(signature, stamps, judged), *_archive_stamps(archived, judgement)]
    return SignatureDetails(
        process="archived" if archived else "with_time" if stamps else "basic",
        judged_at=judged.at if judged else at,
        digest_algorithm=signer_info["digest_algorithm"]["algorithm"].native,
        signature_algorithm=f"{name} {digest}" if digest else name,
        document_digest=signature.compute_digest(),
        attributes_digest=hashlib.sha256(signer_info["signed_attrs"].untag().dump()).digest(),
        signature_value=signer_info["signature"].native,
        checks=(*in_file, *_steps(signature, judgement, sub_indication, found)),
        certificates=_certificates(judged, judgement.proven_at or judged.at) if judged else (),
        time_stamps=tuple(found),
    )


def _steps(
    signature: EmbeddedPdfSignature,
    judgement: Judgement,
    sub_indication: AdESSubIndic,
    stamps: Sequence[TimeStampFound],
) -> list[Check]:
    """Restate a judgement as the step that failed, those before it and those not reached."""
    judged = judgement.signature
    # One time stamp of its own that holds is enough, but the chain of archive time stamps must be whole.
    own = _join(any, [stamp for stamp in stamps if stamp.kind == "signature"])
    archive = _join(all, [stamp for stamp in stamps if stamp.kind == "archive"])
    if sub_indication is AdESPassed.OK:
        failed_at = None
    elif archive is False or judged is None:
        failed_at = "archive_time_stamps"
    elif own is False and judged.sub_indication is AdESPassed.OK:
        failed_at = "time_stamp"
    else:
        named = judged.sub_indication if own is False else sub_indication
        failed_at = _FAILED_AT.get(named.standard_name, "certificate_chain")
    passed: dict[str, bool | None] = {}
    for step in STEPS:
        reached = judged is not None and False not in passed.values()
        passed[step] = False if step == failed_at else True if reached else None
    passed["integrity"] = _is_intact(signature)
    passed["time_stamp"], passed["archive_time_stamps"] = own, archive
    if judged and not judged.trust.judges_signers and passed["revocation"]:
        passed["revocation"] = None
    found = {failed_at: sub_indication.standard_name} if failed_at else {}
    return [Check(step, passed[step], found.get(step)) for step in STEPS]


def _join(join: Callable[[Iterable[bool]], bool], stamps: Sequence[TimeStampFound]) -> bool | None:
    """Join what was found of several: nothing when there is none, or none was reached."""
    reached = [stamp.passed for stamp in stamps if stamp.passed is not None]
    return join(reached) if reached else None


def _is_intact(signature: EmbeddedPdfSignature) -> bool:
    return bool(signature.compute_digest() == extract_message_digest(signature.signer_info))


def _own_stamps(
    signature: EmbeddedPdfSignature, tokens: Sequence[cms.ContentInfo], judged: Judged | None
) -> list[TimeStampFound]:
    found = []
    for token in tokens:
        own = judge_token(signature, token, judged.trust, judged.at) if judged else None
        sha256 = hashlib.sha256(token.dump()).hexdigest()
        found.append(_stamp("signature", sha256, read_time(token)["gen_time"].native, own))
    return found


def _archive_stamps(stamps: Sequence[EmbeddedPdfSignature], judgement: Judgement) -> list[TimeStampFound]:
    """Pair the archive time stamps, oldest first, with their judgements, which begin at the newest."""
    reached = reversed(judgement.archive_stamps)
    missing = len(stamps) - len(judgement.archive_stamps)
    judgements = [*repeat(None, missing), *reached]
    return [
        _stamp("archive", fingerprint(stamp.pkcs7_content) or "", stamped_at(stamp), judged)
        for stamp, judged in zip(stamps, judgements, strict=True)
    ]


def _stamp(kind: str, sha256: str, moment: datetime, judged: Judged | None) -> TimeStampFound:
    if judged is None:
        return TimeStampFound(kind, sha256, moment, None, None, None, ())
    passed = judged.sub_indication.status is AdESStatus.PASSED
    return TimeStampFound(
        kind,
        sha256,
        moment,
        judged.at,
        passed,
        None if passed else judged.sub_indication.standard_name,
        _certificates(judged, judged.at),
    )


def _certificates(judged: Judged, moment: datetime) -> tuple[CertificateFound, ...]:
    """Describe a chain at a moment, the signer's certificate first, the trust anchor last where reached."""
    issuers = [*judged.path, judged.anchor][1:]
    below = [
        _certificate(each, judged, moment, issuer.public_key if issuer else None)
        for each, issuer in zip(judged.path, issuers, strict=True)
    ]
    anchor = [_certificate(judged.anchor, judged, moment, None, is_anchor=True)] if judged.anchor else []
    return (*below, *anchor)


def _certificate(
    certificate: asn1_x509.Certificate,
    judged: Judged,
    moment: datetime,
    signing_key: asn1_keys.PublicKeyInfo | None,
    *,
    is_anchor: bool = False,
) -> CertificateFound:
    name, digest = name_algorithms(certificate["signature_algorithm"])
    rule = find_signature_rule(judged.trust.policy, name, signing_key) if signing_key else None
    return CertificateFound(
        subject=certificate.subject.human_friendly,
        issuer=certificate.issuer.human_friendly,
        serial_number=f"{certificate.serial_number:x}",
        sha256=certificate.sha256.hex(),
        der=certificate.dump(),
        is_trust_anchor=is_anchor,
        not_before=certificate.not_valid_before,
        not_after=certificate.not_valid_after,
        in_force=certificate.not_valid_before <= moment <= certificate.not_valid_after,
        key=_name_key(certificate.public_key),
        algorithm=f"{name} {digest}" if digest else name,
        accepted=is_accepted(rule, moment) if signing_key else None,
        accepted_until=rule.until if rule else None,
        revocation=None if is_anchor else _find_revocation(certificate, judged),
    )


def _name_key(key: asn1_keys.PublicKeyInfo) -> str:
    algorithm: str = key.algorithm
    if algorithm == "ec":
        return f"ec {key.curve[1]}"
    return f"{algorithm} {key.bit_size}" if algorithm.startswith("rsa") else algorithm


def _find_revocation(certificate: asn1_x509.Certificate, judged: Judged) -> RevocationFound:
    """Find what the newest revocation data known at the judged time say of a certificate."""
    told = [
        *(_ask_list(each, certificate) for each in judged.trust.knowledge.known_crls),
        *(_ask_response(each, certificate) for each in judged.trust.knowledge.known_ocsps),
    ]
    known = [each for each in told if each and each.signed_at and each.signed_at <= judged.at]
    return max(known, key=lambda each: str(each.signed_at), default=RevocationFound("unknown"))


def _ask_list(container: CRLContainer, certificate: asn1_x509.Certificate) -> RevocationFound | None:
    crl: asn1_crl.CertificateList = container.crl_data
    if crl.issuer != certificate.issuer:
        return None
    tbs = crl["tbs_cert_list"]
    entry = next(
        (
            each
            for each in tbs["revoked_certificates"] or ()
            if each["user_certificate"].native == certificate.serial_number
        ),
        None,
    )
    return RevocationFound(
        "revoked" if entry else "good",
        "crl",
        hashlib.sha256(crl.dump()).hexdigest(),
        tbs["this_update"].native,
        tbs["next_update"].native,
        entry["revocation_date"].native if entry else None,
    )


def _ask_response(container: OCSPContainer, certificate: asn1_x509.Certificate) -> RevocationFound | None:
    response = container.extract_single_response()
    if response is None or response["cert_id"]["serial_number"].native != certificate.serial_number:
        return None
    status = response["cert_status"]
    return RevocationFound(
        status.name,
        "ocsp",
        hashlib.sha256(container.ocsp_response_data.dump()).hexdigest(),
        response["this_update"].native,
        response["next_update"].native,
        status.chosen["revocation_time"].native if status.name == "revoked" else None,
    )
