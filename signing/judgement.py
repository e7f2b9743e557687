"""Judges one signature at one time, as EN 319 102-1 says for what it carries."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from asn1crypto import cms, tsp
from asn1crypto import x509 as asn1_x509
from pyhanko.sign.ades.report import AdESIndeterminate, AdESPassed, AdESSubIndic
from pyhanko.sign.validation.ades import (
    AdESBasicValidationResult,
    ades_basic_validation,
    ades_timestamp_validation,
    ades_with_time_validation,
)
from pyhanko.sign.validation.generic_cms import message_imprint_checker
from pyhanko.sign.validation.pdf_embedded import EmbeddedPdfSignature
from pyhanko.sign.validation.status import SignatureStatus

from signing.policy import find_digest_rule, is_accepted
from signing.trust import Trust, judge_at
from signing.update import run

SIGNATURE_TIME_STAMP = "signature_time_stamp_token"


class CmsSignature(Protocol):
    """A CMS with one signer over a content elsewhere: in the PDF around it, or in a file beside it."""

    @property
    def signed_data(self) -> cms.SignedData: ...

    @property
    def signer_info(self) -> cms.SignerInfo: ...

    def compute_digest(self) -> bytes:
        """Return the content's digest by the signer's algorithm."""


@dataclass(frozen=True)
class Judged:
    """A signature or time stamp as it was judged `at` a time, by what `trust` knew.

    `path` are the certificates it rests on, its own first, and `anchor` the trust anchor that was reached.
    """

    sub_indication: AdESSubIndic
    at: datetime
    trust: Trust
    path: tuple[asn1_x509.Certificate, ...] = ()
    anchor: asn1_x509.Certificate | None = None


@dataclass(frozen=True)
class Judgement:
    """A signature's sub-indication and the time proven by its time stamp, if any.

    `signature` is what was found of it by itself, whatever its time stamps prove or do not; nothing when
    its archive time stamps, the last one first, failed before.
    """

    sub_indication: AdESSubIndic
    proven_at: datetime | None = None
    signature: Judged | None = None
    archive_stamps: tuple[Judged, ...] = ()
    own_stamp: Judged | None = None


def judge_signature(signature: CmsSignature, trust: Trust, at: datetime) -> Judgement:
    """Judge a signature with its own time stamp, if it has one (EN 319 102-1 §5.5, else §5.3)."""
    stamps = [read_time(token) for token in time_stamp_tokens(signature)]
    arguments = judge_at(trust, at, max((each["gen_time"].native for each in stamps), default=None))
    result = run(
        (ades_with_time_validation if stamps else ades_basic_validation)(
            signature.signed_data, raw_digest=signature.compute_digest(), **arguments
        )
    )
    status = result.api_status
    judged = rest_on(Judged(_without_time(result), at, trust), status)
    proof = status.timestamp_validity if status else None
    if proof is None or not (proof.valid and proof.trusted):
        return Judgement(result.ades_subindic, signature=judged)
    # pyHanko asks no policy about the digest that a time stamp is over.
    weak = [found for each in stamps if (found := judge_imprint(each, trust, at)) is not AdESPassed.OK]
    if weak:
        passed = result.ades_subindic is AdESPassed.OK
        return Judgement(weak[0] if passed else result.ades_subindic, signature=judged)
    own_stamp = rest_on(Judged(AdESPassed.OK, at, trust), proof)
    return Judgement(result.ades_subindic, proof.timestamp, judged, own_stamp=own_stamp)


def _without_time(result: AdESBasicValidationResult[SignatureStatus]) -> AdESSubIndic:
    """Read what basic validation found of a signature, before its time stamps were looked at."""
    status = result.api_status
    if status is None or not (status.intact and status.valid):
        return result.ades_subindic
    return status.trust_problem_indic or AdESPassed.OK


def judge_token(
    signature: EmbeddedPdfSignature, token: cms.ContentInfo, trust: Trust, at: datetime
) -> Judged:
    """Judge one time stamp of a signature (EN 319 102-1 §5.4), whose container may complete its chain."""
    weak = judge_imprint(read_time(token), trust, at)
    beside = [each.chosen for each in signature.signed_data["certificates"]]
    known = [*trust.knowledge.known_certs, *beside]
    trust = replace(trust, knowledge=replace(trust.knowledge, known_certs=known))
    result = run(
        ades_timestamp_validation(
            token["content"],
            expected_tst_imprint=message_imprint_checker(signature.signer_info),
            **judge_at(trust, at),
        )
    )
    found = weak if result.ades_subindic is AdESPassed.OK else result.ades_subindic
    return rest_on(Judged(found, at, trust), result.api_status)


def time_stamp_tokens(signature: CmsSignature) -> list[cms.ContentInfo]:
    """List the time stamps that a signature carries itself (EN 319 122-1 §5.3)."""
    unsigned: Sequence[cms.CMSAttribute] = signature.signer_info["unsigned_attrs"] or ()
    return [
        token
        for attribute in unsigned
        if attribute["type"].native == SIGNATURE_TIME_STAMP
        for token in attribute["values"]
    ]


def read_time(token: cms.ContentInfo) -> tsp.TSTInfo:
    """Read what a time stamp states, unproven."""
    return token["content"]["encap_content_info"]["content"].parsed


def judge_imprint(stated: tsp.TSTInfo, trust: Trust, at: datetime) -> AdESSubIndic:
    """Judge the digest algorithm by which a time stamp refers to its data (EN 319 102-1 §5.2.8)."""
    return judge_digest(stated["message_imprint"]["hash_algorithm"]["algorithm"].native, trust, at)


def judge_digest(algorithm: str, trust: Trust, at: datetime) -> AdESSubIndic:
    """Judge a digest algorithm by the policy at a time."""
    rule = find_digest_rule(trust.policy, algorithm)
    if is_accepted(rule, at):
        return AdESPassed.OK
    ended = rule is not None
    return (
        AdESIndeterminate.CRYPTO_CONSTRAINTS_FAILURE_NO_POE
        if ended
        else AdESIndeterminate.CRYPTO_CONSTRAINTS_FAILURE
    )


def rest_on(judged: Judged, status: SignatureStatus | None) -> Judged:
    """Add the certificates that pyHanko found a validation to rest on."""
    if status is None:
        return judged
    path = status.validation_path
    if path is None:
        return replace(judged, path=(status.signing_cert,))
    above = list(path.iter_certs(include_root=True))
    anchor = above.pop(0) if len(above) > path.pkix_len else None
    return replace(judged, path=tuple(reversed(above)), anchor=anchor)
