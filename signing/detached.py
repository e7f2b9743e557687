"""Signs and validates content of any kind by a CMS beside it (CAdES, EN 319 122-1), as PDFs are inside.

Such a signature is checked by anybody with `openssl cms -verify -binary -content …`.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from asn1crypto import cms
from cryptography import x509
from pyhanko.sign.general import extract_certificate_info
from pyhanko.sign.validation.policy_decl import LocalKnowledge

from keys.cms import DATA, digest_of, sign_content
from keys.store import OpenKey
from keys.timestamp import Timestamper
from signing.judgement import judge_signature, time_stamp_tokens
from signing.policy import Policy, current_policy
from signing.sign import embedded_certificates, require_document_signer, time_stamp_attributes
from signing.trust import Anchors, Trust, read_lists
from signing.validate import (
    MALFORMED,
    SignatureReport,
    ValidationReport,
    indicate,
    judge_in_force,
    name_signer,
)


def sign_detached(
    content: bytes, signer: OpenKey, *, signed_at: datetime, timestamper: Timestamper | None
) -> bytes:
    """Return the DER of a detached CMS over the content, with the signer's chain up to the trust anchor.

    With a `timestamper` it is B-T; when that gives no time stamp, B-B.
    Raises SignerCertificateNotValid or SignerCertificateUnsuitable; what `signer.sign` raises passes through.
    """
    require_document_signer(signer.certificate, signed_at)
    return sign_content(
        signer,
        DATA,
        hashlib.new(digest_of(signer), content).digest(),
        certificates=embedded_certificates(signer),
        unsigned_attributes=lambda value: time_stamp_attributes(value, timestamper, lambda _error: None),
    )


@dataclass(frozen=True)
class _Detached:
    """A detached signature with its content's digest, as `judge_signature` takes it."""

    signed_data: cms.SignedData
    signer_info: cms.SignerInfo
    digest: bytes

    def compute_digest(self) -> bytes:
        return self.digest


def validate_detached(
    content: bytes,
    signature: bytes,
    trust_anchors: Sequence[x509.Certificate],
    *,
    at: datetime,
    crls: Sequence[bytes] = (),
    time_anchors: Sequence[x509.Certificate] = (),
    policy: Policy | None = None,
) -> ValidationReport:
    """Validate a detached CMS (DER) over a content at the time `at`, by the rules of `validate_document`.

    Raises MemoryError when a limit of the process is reached, and nothing else for hostile input.
    """
    try:
        anchors, lists = Anchors(trust_anchors, time_anchors), read_lists(crls)
        trust = Trust(
            anchors,
            policy or current_policy(),
            LocalKnowledge(known_crls=lists),
            judges_signers=bool(lists),
            judges_authorities=anchors.have_list(lists),
        )
        detached = _read(content, signature)
        certificate = extract_certificate_info(detached.signed_data).signer_cert
        judgement = judge_signature(detached, trust, at)
        report = SignatureReport(
            "",
            *indicate(judge_in_force(certificate, judgement)),
            container_sha256=hashlib.sha256(signature).hexdigest(),
            level="B-T" if time_stamp_tokens(detached) else "B-B",
            signer=name_signer(certificate),
            signer_serial=f"{certificate.serial_number:x}",
            signer_certificate=certificate.dump(),
            timestamped_at=judgement.proven_at,
            coverage_entire_file=True,
            modification_level="NONE",
            docmdp_ok=True,
        )
    except MemoryError:
        raise
    except Exception:  # Parsers leak whatever a hostile signature provokes.
        return ValidationReport(*MALFORMED, ())
    return ValidationReport(report.indication, report.sub_indication, report.reasons, (report,))


def _read(content: bytes, signature: bytes) -> _Detached:
    """Read a CMS of one signer. Raises whatever the parsers raise for malformed structures."""
    signed_data = cms.ContentInfo.load(signature, strict=True)["content"]
    (signer_info,) = signed_data["signer_infos"]
    algorithm = signer_info["digest_algorithm"]["algorithm"].native
    return _Detached(signed_data, signer_info, hashlib.new(algorithm, content).digest())
