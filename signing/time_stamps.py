"""Judges a time-stamp token that another house gave, before it is put into a document (RFC 3161 §2.4.2)."""

from collections.abc import Sequence
from datetime import datetime

from asn1crypto import cms
from cryptography import x509
from pyhanko.sign.ades.report import AdESPassed
from pyhanko.sign.validation.ades import ades_timestamp_validation
from pyhanko.sign.validation.policy_decl import LocalKnowledge

from signing.errors import TimestampUnavailable
from signing.policy import current_policy
from signing.trust import Anchors, Trust, judge_at, read_lists
from signing.update import run


def verify_time_stamp(
    token: bytes,
    digest: bytes,
    anchors: Sequence[x509.Certificate],
    *,
    crls: Sequence[bytes],
    at: datetime,
) -> None:
    """Verify a DER TimeStampToken over a digest as a later validation will, at the time `at`.

    Signature, imprint, the authority's certificate with its purpose, its chain up to `anchors`, and that
    nothing on it is revoked by a list (DER) that is fresh: an authority whose lists are unknown is not used.
    Raises TimestampUnavailable, which names the sub-indication.
    """
    trust = Trust(
        Anchors((), anchors),
        current_policy(),
        LocalKnowledge(known_crls=read_lists(crls)),
        judges_signers=True,
        judges_authorities=True,
    )
    try:
        result = run(
            ades_timestamp_validation(
                cms.ContentInfo.load(token, strict=True)["content"],
                expected_tst_imprint=lambda _algorithm: digest,
                **judge_at(trust, at),
            )
        )
    except Exception as error:  # Parsers leak whatever a broken token provokes.
        raise TimestampUnavailable("The time stamp cannot be read.") from error
    if result.ades_subindic is not AdESPassed.OK:
        raise TimestampUnavailable(f"The time stamp would not pass: {result.ades_subindic.standard_name}.")
