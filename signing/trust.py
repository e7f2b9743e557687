"""Whom a validation trusts, and for what: its trust anchors, and whose revocation must be known."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from asn1crypto import crl as asn1_crl
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from pyhanko.sign.validation.policy_decl import (
    LocalKnowledge,
    RevinfoOnlineFetchingRule,
    RevocationInfoGatheringSpec,
    SignatureValidationSpec,
)
from pyhanko.sign.validation.settings import KeyUsageConstraints
from pyhanko_certvalidator.context import CertValidationPolicySpec
from pyhanko_certvalidator.policy_decl import (
    CertRevTrustPolicy,
    RevocationCheckingPolicy,
    RevocationCheckingRule,
)
from pyhanko_certvalidator.registry import SimpleTrustManager
from pyhanko_certvalidator.revinfo.archival import CRLContainer

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

    def have_list(self, lists: Sequence[CRLContainer]) -> bool:
        """Tell whether a signing anchor's own revocation list is there, so that it judges authorities."""
        return any(
            each.crl_data.issuer == anchor.subject for each in lists for anchor in _parse(self.signing)
        )


def read_lists(crls: Sequence[bytes]) -> list[CRLContainer]:
    """Parse revocation lists (DER). Raises ValueError as late as a list is used."""
    return [CRLContainer(asn1_crl.CertificateList.load(der)) for der in crls]


def trust_policy(
    anchors: Anchors, knowledge: LocalKnowledge, *, judges_signers: bool, judges_authorities: bool
) -> SignatureValidationSpec:
    """Say whom to trust, whose revocation must be known, and that nothing may be fetched."""
    required, unchecked = RevocationCheckingRule.CRL_OR_OCSP_REQUIRED, RevocationCheckingRule.NO_CHECK
    checking = RevocationCheckingPolicy(
        ee_certificate_rule=required if judges_signers else unchecked,
        intermediate_ca_cert_rule=required if judges_authorities else unchecked,
    )

    def up_to(roots: Sequence[x509.Certificate]) -> CertValidationPolicySpec:
        return CertValidationPolicySpec(
            # An explicit list, even an empty one, keeps the operating system's anchors out.
            trust_manager=SimpleTrustManager.build(trust_roots=_parse(roots)),
            revinfo_policy=CertRevTrustPolicy(checking),
        )

    completing = [each for each in anchors.time if not is_self_issued(each)]
    return SignatureValidationSpec(
        cert_validation_policy=up_to(anchors.signing),
        ts_cert_validation_policy=up_to([*anchors.signing, *filter(is_self_issued, anchors.time)]),
        # pyHanko demands no usage unless told, and would take a TSA's certificate for a signer's.
        key_usage_settings=KeyUsageConstraints(key_usage={"non_repudiation"}),
        revinfo_gathering_policy=RevocationInfoGatheringSpec(RevinfoOnlineFetchingRule.LOCAL_ONLY),
        local_knowledge=replace(knowledge, known_certs=[*knowledge.known_certs, *_parse(completing)]),
    )


def is_self_issued(certificate: x509.Certificate) -> bool:
    """Tell a trust anchor from a certificate whose issuer is to be found."""
    return certificate.issuer == certificate.subject


def _parse(certificates: Sequence[x509.Certificate]) -> list[asn1_x509.Certificate]:
    return [asn1_x509.Certificate.load(each.public_bytes(Encoding.DER)) for each in certificates]
