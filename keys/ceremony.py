"""The ceremony: a whole hierarchy from one plan, the root's key in a store of its own."""

import hashlib
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from keys import profiles, store
from keys.algorithms import PublicKey
from keys.approval import NEEDED, Approval, approve, approver, canonical
from keys.authority import Subject
from keys.errors import ApprovalNotValid, KeyAlreadyExists, PassphrasesAlike
from keys.hierarchy import make_key, make_root
from keys.profiles import Addresses, Profile
from keys.software import SoftwareKeyStore
from keys.store import KeyStore, OpenKey

OPERATIONS = "operations"
"""Who opens the service's own keys."""
RECORD_FORMAT = "canting-ceremony-1"


@dataclass(frozen=True)
class Entry:
    """A key to make. `profile` and `subject` are nothing for the log's key, which has no certificate."""

    name: str
    algorithm: str
    profile: Profile | None = None
    subject: Subject | None = None
    validity: timedelta | None = None

    @property
    def holder(self) -> str:
        """Whose passphrase opens the key: the root's, the operators', or the person's whose key it is."""
        is_own = self.name.startswith((store.ROOT, store.CUSTODIAN_PREFIX, store.OFFICIAL_PREFIX))
        return self.name if is_own else OPERATIONS


@dataclass(frozen=True)
class Plan:
    """What a ceremony shall make. Every issuer stands before what it certifies.

    The certificates name addresses below `base_url`, where the service publishes.
    """

    entries: tuple[Entry, ...]
    base_url: str
    place: str = ""
    leader: str = ""
    witnesses: tuple[str, ...] = ()

    @property
    def holders(self) -> tuple[str, ...]:
        """Who must give a passphrase, in the order in which they are asked."""
        return tuple(dict.fromkeys(entry.holder for entry in self.entries))


def addresses_below(base_url: str, issuer: str) -> Addresses:
    """Return where the service at `base_url` publishes for the authority whose key has the name `issuer`."""
    published = f"{base_url}/pki/{issuer}"
    return Addresses(crl=f"{published}.crl", ca_issuers=f"{published}.cer", ocsp=f"{base_url}/pki/ocsp")


def hold_ceremony(
    plan: Plan,
    keys: KeyStore,
    root_keys: SoftwareKeyStore,
    passphrases: Mapping[str, str],
    *,
    plan_sha256: str,
    software: str,
    now: datetime,
) -> Approval:
    """Make every key of the plan where it stays and certify it; return the record, signed by all custodians.

    The root's key goes into `root_keys`, everything else into `keys`. `passphrases` are by holder; those of
    keys in tokens are their PINs. The custodians approve what an issuing CA certifies, as later. All is
    rehearsed first, so that a refusal makes nothing. Raises KeyAlreadyExists, PassphrasesAlike,
    ProfileViolation, ApprovalNotValid with fewer than two custodians, and what `generate_key` raises.
    """
    _rehearse(plan, keys, root_keys, passphrases, now)
    with ExitStack() as until_end:
        opened: dict[str, OpenKey] = {}
        # The custodians come first: they approve what the issuing CA certifies, and that it is one.
        for entry in sorted(plan.entries, key=lambda each: each.profile not in _OF_THE_ROOT):
            passphrase = passphrases[entry.holder]
            if entry.profile is profiles.ROOT:
                opened[entry.name] = until_end.enter_context(
                    _make_root(entry, keys, root_keys, passphrase, now)
                )
                continue
            _make(plan, entry, keys, opened, passphrase, now)
            if entry.profile in _CERTIFYING:
                opened[entry.name] = until_end.enter_context(keys.open_key(entry.name, passphrase, now=now))
        certified = [entry.name for entry in plan.entries if entry.profile]
        facts = {
            "act": "ceremony",
            "format": RECORD_FORMAT,
            "at": now.astimezone(UTC).isoformat(),
            "software": software,
            "plan_sha256": plan_sha256,
            "root_key_sha256": hashlib.sha256(root_keys.encrypted_key(store.ROOT)).hexdigest(),
            "certificates": {name: fingerprint(keys.certificates(name)[0]) for name in certified},
            "keys": _bare_keys(plan, keys, passphrases, now),
            "tokens": {entry.name: token for entry in plan.entries if (token := keys.token_of(entry.name))},
        }
        return approve(canonical(facts), _custodians(opened))


_OF_THE_ROOT = (profiles.ROOT, profiles.CUSTODIAN)
_CERTIFYING = (profiles.ISSUING_CA, profiles.CUSTODIAN)


def _rehearse(
    plan: Plan, keys: KeyStore, root_keys: SoftwareKeyStore, passphrases: Mapping[str, str], now: datetime
) -> None:
    """Raise what would stop the ceremony, before anything is made."""
    if keys.names() or root_keys.names():
        raise KeyAlreadyExists("This folder holds keys already. Choose an empty one for a new hierarchy.")
    given = [passphrases[holder] for holder in plan.holders]
    if len(set(given)) < len(given):
        raise PassphrasesAlike("Every holder needs a passphrase of their own.")
    if [entry.profile for entry in plan.entries].count(profiles.CUSTODIAN) < NEEDED:
        raise ApprovalNotValid("Two different custodians must sign.")
    for entry in plan.entries:
        kept_in = root_keys if entry.profile is profiles.ROOT else keys
        kept_in.rehearse_key(entry.name, entry.algorithm, passphrases[entry.holder], now=now)
        if entry.subject:
            entry.subject.as_name()


def _make_root(
    entry: Entry, keys: KeyStore, root_keys: SoftwareKeyStore, passphrase: str, now: datetime
) -> OpenKey:
    assert entry.subject
    return make_root(
        keys,
        root_keys,
        entry.name,
        entry.subject,
        passphrase,
        now=now,
        algorithm=entry.algorithm,
        validity=entry.validity,
    )


def _make(
    plan: Plan, entry: Entry, keys: KeyStore, opened: Mapping[str, OpenKey], passphrase: str, now: datetime
) -> None:
    """Make an entry's key and have its issuer certify it, approved where an approval is needed."""
    if not (entry.profile and entry.profile.issued_by and entry.subject):
        keys.generate_key(entry.name, entry.algorithm, passphrase, now=now).close()
        return
    is_approved = entry.profile is not profiles.CUSTODIAN
    make_key(
        keys,
        entry.name,
        entry.profile,
        entry.subject,
        opened[entry.profile.issued_by],
        passphrase=passphrase,
        now=now,
        algorithm=entry.algorithm,
        validity=entry.validity,
        addresses=addresses_below(plan.base_url, entry.profile.issued_by),
        approve=approver("ceremony", _custodians(opened), now) if is_approved else None,
    )


def _custodians(opened: Mapping[str, OpenKey]) -> list[OpenKey]:
    return [key for name, key in opened.items() if name.startswith(store.CUSTODIAN_PREFIX)]


def _bare_keys(plan: Plan, keys: KeyStore, passphrases: Mapping[str, str], now: datetime) -> dict[str, str]:
    """Return the fingerprints of the keys without certificates, by name."""
    found = {}
    for entry in plan.entries:
        if not entry.profile:
            with keys.open_bare_key(entry.name, passphrases[entry.holder], now=now) as key:
                found[entry.name] = key_fingerprint(key.public_key)
    return found


def fingerprint(certificate: x509.Certificate) -> str:
    """Return the SHA-256 of a certificate, in hexadecimal digits."""
    return hashlib.sha256(certificate.public_bytes(Encoding.DER)).hexdigest()


def key_fingerprint(public_key: PublicKey) -> str:
    """Return the SHA-256 of a key's SubjectPublicKeyInfo, in hexadecimal digits."""
    der = public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).hexdigest()
