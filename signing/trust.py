"""Whom and what a validation trusts: trust anchors, algorithms, and what must be known of revocation."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from asn1crypto import crl as asn1_crl
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from pyhanko.sign.validation.policy_decl import (
    LocalKnowledge,
    RevinfoOnlineFetchingRule,
    RevocationInfoGatheringSpec,
    SignatureValidationSpec,
    bootstrap_validation_data_handlers,
)
from pyhanko.sign.validation.settings import KeyUsageConstraints
from pyhanko_certvalidator.context import CertValidationPolicySpec
from pyhanko_certvalidator.ltv.poe import POEManager
from pyhanko_certvalidator.ltv.types import ValidationTimingInfo, ValidationTimingParams
from pyhanko_certvalidator.policy_decl import (
    CertRevTrustPolicy,
    RevocationCheckingPolicy,
    RevocationCheckingRule,
)
from pyhanko_certvalidator.registry import SimpleTrustManager
from pyhanko_certvalidator.revinfo.archival import (
    CRLContainer,
    OCSPContainer,
    RevinfoUsability,
    RevinfoUsabilityRating,
)

from signing.policy import (
    AlgorithmUsage,
    Policy,
    current_policy,
    find_digest_rule,
    is_accepted,
    name_algorithms,
)

TIME_ANCHOR_FILES = "timestamping/*.pem"
"""Within the keys' folder: `NAME.pem` holds the root of another house's time-stamping authority NAME, and the
certificates between."""


@dataclass(frozen=True)
class Anchors:
    """`signing`: trust anchors for signatures and time stamps. `time`: other houses', for time stamps alone.

    Among `time`, what is self-issued is trusted; what is not only completes chains.
    """

    signing: Sequence[x509.Certificate]
    time: Sequence[x509.Certificate] = ()

    @cached_property
    def for_signatures(self) -> SimpleTrustManager:
        """The trust anchors for signatures. A list, even an empty one, keeps the operating system's out."""
        return SimpleTrustManager.build(trust_roots=self._ours)

    @cached_property
    def for_time_stamps(self) -> SimpleTrustManager:
        """The trust anchors for time stamps."""
        return SimpleTrustManager.build(trust_roots=self._stamping)

    @cached_property
    def completing(self) -> list[asn1_x509.Certificate]:
        """The certificates between, which are believed no more than those of a document."""
        return _parse([each for each in self.time if not is_self_issued(each)])

    @cached_property
    def names(self) -> frozenset[bytes]:
        """The names of all trust anchors (DER)."""
        return frozenset(anchor.subject.dump() for anchor in self._stamping)

    @cached_property
    def _ours(self) -> list[asn1_x509.Certificate]:
        return _parse(self.signing)

    @cached_property
    def _stamping(self) -> list[asn1_x509.Certificate]:
        return [*self._ours, *_parse([each for each in self.time if is_self_issued(each)])]

    def have_list(self, lists: Sequence[CRLContainer]) -> bool:
        """Tell whether a signing anchor's own revocation list is there, so that it judges authorities."""
        return any(each.crl_data.issuer == anchor.subject for each in lists for anchor in self._ours)


def read_lists(crls: Sequence[bytes]) -> list[CRLContainer]:
    """Parse revocation lists (DER). Raises ValueError as late as a list is used."""
    return [CRLContainer(asn1_crl.CertificateList.load(der)) for der in crls]


@dataclass(frozen=True)
class Trust:
    """What one judgement rests on: `knowledge` holds certificates and revocation data, none believed yet.

    `judges_signers` and `judges_authorities` say whose revocation must be known.
    """

    anchors: Anchors
    policy: Policy
    knowledge: LocalKnowledge = field(default_factory=LocalKnowledge)
    judges_signers: bool = False
    judges_authorities: bool = False


def judge_at(trust: Trust, at: datetime, proven_at: datetime | None = None) -> dict[str, Any]:
    """Give the arguments for pyHanko's validation at a time, which it would take from the machine's clock.

    A signature's algorithms are judged at `proven_at`, where a time stamp claims that, and everything else
    `at`. Nothing may be fetched.
    """
    timing = ValidationTimingInfo(validation_time=at, best_signature_time=at, point_in_time_validation=True)
    spec = _specify(trust, AlgorithmUsage(trust.policy, proven_at or at), AlgorithmUsage(trust.policy, at))
    poes = POEManager(current_dt_override=at)
    return {
        "validation_spec": spec,
        "timing_info": timing,
        "validation_data_handlers": bootstrap_validation_data_handlers(
            spec, timing, poe_manager_override=poes
        ),
    }


def _specify(trust: Trust, signatures: AlgorithmUsage, stamps: AlgorithmUsage) -> SignatureValidationSpec:
    required, unchecked = RevocationCheckingRule.CRL_OR_OCSP_REQUIRED, RevocationCheckingRule.NO_CHECK
    checking = RevocationCheckingPolicy(
        ee_certificate_rule=required if trust.judges_signers else unchecked,
        intermediate_ca_cert_rule=required if trust.judges_authorities else unchecked,
    )

    def up_to(roots: SimpleTrustManager, algorithms: AlgorithmUsage) -> CertValidationPolicySpec:
        return CertValidationPolicySpec(
            trust_manager=roots,
            revinfo_policy=CertRevTrustPolicy(checking),
            algorithm_usage_policy=algorithms,
        )

    return SignatureValidationSpec(
        cert_validation_policy=up_to(trust.anchors.for_signatures, signatures),
        ts_cert_validation_policy=up_to(trust.anchors.for_time_stamps, stamps),
        # pyHanko demands no usage unless told, and would take a TSA's certificate for a signer's.
        key_usage_settings=KeyUsageConstraints(key_usage={"non_repudiation"}),
        revinfo_gathering_policy=RevocationInfoGatheringSpec(RevinfoOnlineFetchingRule.LOCAL_ONLY),
        local_knowledge=_limit_knowledge(trust),
    )


def _limit_knowledge(trust: Trust) -> LocalKnowledge:
    """Add the certificates that complete chains, and what the policy demands of what tells of revocation."""
    policy, knowledge, roots = trust.policy, trust.knowledge, trust.anchors.names
    days = {True: policy.trust_anchors_days, False: policy.other_issuers_days}
    return replace(
        knowledge,
        known_certs=[*knowledge.known_certs, *trust.anchors.completing],
        known_crls=[
            _LimitedList(each.crl_data, policy, days[each.crl_data.issuer.dump() in roots])
            for each in knowledge.known_crls
        ],
        known_ocsps=[
            _LimitedResponse(each.ocsp_response_data, each.index, policy, days[False])
            for each in knowledge.known_ocsps
        ],
    )


@dataclass(frozen=True)
class _LimitedList(CRLContainer):
    """A revocation list that is no use after so many days, or by a digest that is not accepted."""

    rules: Policy
    days: int

    def usable_at(
        self, policy: CertRevTrustPolicy, timing_params: ValidationTimingParams
    ) -> RevinfoUsability:
        found = super().usable_at(policy, timing_params)
        return _limit(found, self, self.rules, self.days, timing_params.validation_time)


@dataclass(frozen=True)
class _LimitedResponse(OCSPContainer):
    """An OCSP response that is no use after so many days, or by a digest that is not accepted."""

    rules: Policy = field(default_factory=current_policy)
    days: int = 0

    def usable_at(
        self, policy: CertRevTrustPolicy, timing_params: ValidationTimingParams
    ) -> RevinfoUsability:
        found = super().usable_at(policy, timing_params)
        return _limit(found, self, self.rules, self.days, timing_params.validation_time)


def _limit(
    found: RevinfoUsability, told: CRLContainer | OCSPContainer, rules: Policy, days: int, at: datetime
) -> RevinfoUsability:
    """Find stale what is too old or too weak at a time (EN 319 102-1 §5.2.5.4)."""
    signed_at, mechanism = told.issuance_date, told.revinfo_sig_mechanism_used
    if found.rating is not RevinfoUsabilityRating.OK or signed_at is None or mechanism is None:
        return found
    _, digest = name_algorithms(mechanism)
    strong = digest is None or is_accepted(find_digest_rule(rules, digest), at)
    ends = signed_at + timedelta(days=days)
    return found if strong and at <= ends else RevinfoUsability(RevinfoUsabilityRating.STALE, ends, at)


def is_self_issued(certificate: x509.Certificate) -> bool:
    """Tell a trust anchor from a certificate whose issuer is to be found."""
    return certificate.issuer == certificate.subject


def _parse(certificates: Sequence[x509.Certificate]) -> list[asn1_x509.Certificate]:
    return [asn1_x509.Certificate.load(each.public_bytes(Encoding.DER)) for each in certificates]
