"""A throwaway hierarchy for tests: P-256, built once per session, its private keys in memory."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache

from cryptography import x509

from keys import profiles
from keys.algorithms import generate_key, sign_with
from keys.authority import Subject, create_root, issue_certificate
from keys.profiles import Profile
from keys.software import KdfCost
from keys.store import OpenKey

NOW = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
"""The frozen time of tests that sign; the hierarchy begins a day before."""

FAST = KdfCost(memory_kib=32, iterations=1)
"""Passphrases that cost nothing to check, for key stores in tests."""


@dataclass(frozen=True)
class Pki:
    """A whole hierarchy, opened."""

    root: OpenKey
    issuing: OpenKey
    official: OpenKey
    seal: OpenKey
    tsa: OpenKey

    @property
    def trust_anchors(self) -> list[x509.Certificate]:
        return [self.root.certificate]


@cache
def throwaway_pki() -> Pki:
    """Give the one hierarchy that tests share."""
    return make_pki()


def make_pki(*, begins: datetime = NOW - timedelta(days=1), algorithm: str = "p256") -> Pki:
    """Make a hierarchy whose names are always the same and whose keys never are."""
    root = create_root(Subject("Canting Root CA (UJI)"), generate_key(algorithm), now=begins)
    issuing = issue(profiles.ISSUING_CA, "Canting Issuing CA (UJI)", root, begins, algorithm)
    return Pki(
        root=root,
        issuing=issuing,
        official=issue(profiles.OFFICIAL, "Kepala Dinas Contoh", issuing, begins, algorithm),
        seal=issue(profiles.SEAL, "Segel Elektronik (UJI)", issuing, begins, algorithm),
        tsa=issue(profiles.TSA, "Canting TSA (UJI)", issuing, begins, algorithm),
    )


def issue(
    profile: Profile, common_name: str, issuer: OpenKey, begins: datetime, algorithm: str = "p256"
) -> OpenKey:
    """Make a key and have the issuer certify it from `begins` on."""
    private_key = generate_key(algorithm)
    certificate = issue_certificate(
        profile, Subject(common_name), private_key.public_key(), issuer, now=begins
    )
    return OpenKey(profile.name, certificate, (issuer.certificate, *issuer.chain), sign_with(private_key))
