"""The validation policy: which algorithms, keys and revocation data are accepted, and until when.

The rules stand in `policy.yaml`, a versioned document after ETSI TS 119 312. With the trust anchors of the
installation they are the policy of EN 319 102-1 §5.1.4.1 that each report names by its digest.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from asn1crypto import algos, keys
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pyhanko.sign.validation.policy_decl import CMSAlgorithmUsagePolicy
from pyhanko_certvalidator.policy_decl import AlgorithmUsageConstraint

POLICY_FILE = Path(__file__).parent / "policy.yaml"


@dataclass(frozen=True)
class DigestRule:
    """A digest algorithm by asn1crypto's name; `until` is its last day, nothing while no end is set."""

    algorithm: str
    until: date | None = None


@dataclass(frozen=True)
class SignatureRule:
    """A signature algorithm by asn1crypto's name, for keys from `bits` on, or on `curve`."""

    algorithm: str
    bits: int = 0
    curve: str | None = None
    until: date | None = None


@dataclass(frozen=True)
class Policy:
    """The parsed document. Revocation data older than so many days prove nothing, whatever they say."""

    name: str
    version: int
    decided_on: date
    digests: tuple[DigestRule, ...]
    signatures: tuple[SignatureRule, ...]
    trust_anchors_days: int
    other_issuers_days: int


def parse_policy(text: str) -> Policy:
    """Parse the document. Raises ValueError, TypeError or KeyError for one that is not complete."""
    document = yaml.safe_load(text)
    revocation = document.pop("revocation")
    digests = tuple(DigestRule(**each) for each in document.pop("digests"))
    signatures = tuple(SignatureRule(**each) for each in document.pop("signatures"))
    return Policy(digests=digests, signatures=signatures, **document, **revocation)


@cache
def current_policy() -> Policy:
    """Return the policy that is in force."""
    return parse_policy(POLICY_FILE.read_text(encoding="utf-8"))


def find_digest_rule(policy: Policy, algorithm: str) -> DigestRule | None:
    """Find what is said about a digest algorithm."""
    return next((rule for rule in policy.digests if rule.algorithm == algorithm), None)


def find_signature_rule(policy: Policy, algorithm: str, key: keys.PublicKeyInfo) -> SignatureRule | None:
    """Find what is said about a signature algorithm with a key: the rule for the largest size it reaches."""
    curve = key.curve[1] if key.algorithm == "ec" and key.curve[0] == "named" else None
    bits = key.bit_size if key.algorithm in ("rsa", "rsassa_pss") else 0
    fitting = [
        rule
        for rule in policy.signatures
        if rule.algorithm == algorithm and rule.curve == curve and rule.bits <= bits
    ]
    return max(fitting, key=lambda rule: rule.bits, default=None)


def is_accepted(rule: DigestRule | SignatureRule | None, moment: datetime) -> bool:
    """Tell whether a rule, if there is one, accepts its algorithm at a moment (aware)."""
    return rule is not None and (rule.until is None or moment < _end(rule.until))


def proves_until(certificate: x509.Certificate, policy: Policy | None = None) -> datetime:
    """Tell until when what a certificate's key signs is proven by itself: to its end, or its algorithm's."""
    der = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    key = keys.PublicKeyInfo.load(der)
    name = {"rsa": "rsassa_pkcs1v15", "ec": "ecdsa"}.get(key.algorithm, key.algorithm)
    rule = find_signature_rule(policy or current_policy(), name, key)
    end = certificate.not_valid_after_utc
    return min(end, _end(rule.until)) if rule and rule.until else end


def name_algorithms(algorithm: algos.SignedDigestAlgorithm) -> tuple[str, str | None]:
    """Name a signature's algorithm and the digest algorithm within, where its identifier tells that."""
    identifier = algorithm["algorithm"].native
    try:
        name = algorithm.signature_algo
    except ValueError:  # What asn1crypto does not know, ML-DSA, goes by its own name.
        return identifier, None
    try:
        return name, algorithm.hash_algo
    except ValueError:
        digest, _, _ = identifier.rpartition("_")
        return name, digest if digest.startswith("sha") else None


class AlgorithmUsage(CMSAlgorithmUsagePolicy):
    """Lets pyHanko ask the policy, for the one moment that is given here.

    pyHanko would judge a signature and its time stamp at the same moment. But the time stamp must be strong
    now, and the signature need only have been when it was stamped (EN 319 102-1 §5.5.4).
    """

    def __init__(self, policy: Policy, moment: datetime) -> None:
        self._policy = policy
        self._moment = moment

    def digest_algorithm_allowed(
        self, algo: algos.DigestAlgorithm, moment: datetime | None
    ) -> AlgorithmUsageConstraint:
        return self._judge(find_digest_rule(self._policy, algo["algorithm"].native))

    def signature_algorithm_allowed(
        self,
        algo: algos.SignedDigestAlgorithm,
        moment: datetime | None,
        public_key: keys.PublicKeyInfo | None,
    ) -> AlgorithmUsageConstraint:
        name, digest = name_algorithms(algo)
        rule = find_signature_rule(self._policy, name, public_key) if public_key else None
        if digest is None or not is_accepted(rule, self._moment):
            return self._judge(rule)
        return self._judge(find_digest_rule(self._policy, digest))

    def _judge(self, rule: DigestRule | SignatureRule | None) -> AlgorithmUsageConstraint:
        ended = _end(rule.until) if rule and rule.until else None
        return AlgorithmUsageConstraint(is_accepted(rule, self._moment), not_allowed_after=ended)


def _end(until: date) -> datetime:
    return datetime.combine(until + timedelta(days=1), time(), UTC)


@dataclass(frozen=True)
class StatedPolicy:
    """The policy with the trust anchors it is applied with; `text` is canonical JSON, `sha256` its digest."""

    name: str
    version: int
    text: str
    sha256: str


def state_policy(
    policy: Policy, trust_anchors: Sequence[x509.Certificate], time_anchors: Sequence[x509.Certificate] = ()
) -> StatedPolicy:
    """State the rules, and each trust anchor by its name and SHA-256, so that a digest names it all."""
    stated: dict[str, Any] = asdict(policy)
    for purpose, anchors in (("trust_anchors", trust_anchors), ("time_anchors", time_anchors)):
        named = [
            {"name": anchor.subject.rfc4514_string(), "sha256": anchor.fingerprint(SHA256()).hex()}
            for anchor in anchors
        ]
        stated[purpose] = sorted(named, key=lambda anchor: anchor["sha256"])
    text = json.dumps(stated, default=date.isoformat, sort_keys=True, separators=(",", ":"))
    return StatedPolicy(policy.name, policy.version, text, hashlib.sha256(text.encode()).hexdigest())
