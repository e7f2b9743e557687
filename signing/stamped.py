"""Validates a seal over content that is no PDF, with a time stamp beside it, at the time that this proves."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from asn1crypto import cms
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from pyhanko.sign.ades.report import AdESPassed
from pyhanko.sign.validation.ades import (
    AdESBasicValidationResult,
    ades_basic_validation,
    ades_timestamp_validation,
)
from pyhanko.sign.validation.policy_decl import LocalKnowledge
from pyhanko.sign.validation.status import SignatureStatus

from signing.archive import is_revoked
from signing.judgement import Judged, judge_imprint, read_time, rest_on
from signing.policy import current_policy
from signing.trust import Anchors, Trust, judge_at, read_lists
from signing.update import run


class Fault(StrEnum):
    """Why a seal is not valid."""

    MALFORMED = "malformed_signature"
    TIME_STAMP = "time_stamp_not_valid"
    SIGNATURE = "signature_not_valid"


@dataclass(frozen=True, slots=True)
class StampedReport:
    """What was found: no fault, the signer's common name, and the time at which all of it was judged."""

    fault: Fault | None
    signer: str | None = None
    stamped_at: datetime | None = None


def validate_stamped(
    content: bytes,
    signature: bytes,
    time_stamp: bytes,
    trust_anchors: Sequence[x509.Certificate],
    *,
    between: Sequence[x509.Certificate] = (),
    crls: Sequence[bytes] = (),
) -> StampedReport:
    """Validate a CMS message (DER, RFC 5652) over `content`, and the TimeStampToken (RFC 3161) over it.

    Both are judged by the policy at the time of the stamp, up to the trust anchors; `between` completes
    chains. `crls` (DER), however late, speak against what was revoked by then.
    Raises MemoryError when a limit of the process is reached, and nothing else for hostile input.
    """
    try:
        return _validate(content, signature, time_stamp, trust_anchors, between, crls)
    except MemoryError:
        raise
    except Exception:  # Parsers leak whatever hostile bytes provoke.
        return StampedReport(Fault.MALFORMED)


def _validate(
    content: bytes,
    signature: bytes,
    time_stamp: bytes,
    trust_anchors: Sequence[x509.Certificate],
    between: Sequence[x509.Certificate],
    crls: Sequence[bytes],
) -> StampedReport:
    token = cms.ContentInfo.load(time_stamp, strict=True)
    message = cms.ContentInfo.load(signature, strict=True)["content"]
    stamped_at: datetime = read_time(token)["gen_time"].native
    known = [asn1_x509.Certificate.load(each.public_bytes(Encoding.DER)) for each in between]
    trust = Trust(Anchors(trust_anchors), current_policy(), LocalKnowledge(known_certs=known))

    def holds(result: AdESBasicValidationResult[SignatureStatus]) -> bool:
        used = rest_on(Judged(result.ades_subindic, stamped_at, trust), result.api_status).path
        return result.ades_subindic is AdESPassed.OK and not is_revoked(used, read_lists(crls), stamped_at)

    stamp = run(
        ades_timestamp_validation(
            token["content"],
            expected_tst_imprint=lambda algorithm: hashlib.new(algorithm, signature).digest(),
            **judge_at(trust, stamped_at),
        )
    )
    if not holds(stamp) or judge_imprint(read_time(token), trust, stamped_at) is not AdESPassed.OK:
        return StampedReport(Fault.TIME_STAMP)
    digest = message["signer_infos"][0]["digest_algorithm"]["algorithm"].native
    sealed = run(
        ades_basic_validation(
            message, raw_digest=hashlib.new(digest, content).digest(), **judge_at(trust, stamped_at)
        )
    )
    signer = sealed.api_status.signing_cert.subject.native.get("common_name") if sealed.api_status else None
    return StampedReport(None if holds(sealed) else Fault.SIGNATURE, signer, stamped_at)
