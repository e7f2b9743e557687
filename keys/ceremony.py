"""The ceremony: a whole hierarchy from one plan, the root's key in a store of its own."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from keys import profiles, store
from keys.algorithms import PrivateKey, PublicKey, generate_key, sign_with
from keys.approval import Approval, approve, canonical, certificate_statement
from keys.authority import Subject, draft_certificate, sign_draft
from keys.errors import KeyAlreadyExists, PassphrasesAlike
from keys.hierarchy import write_root_list
from keys.profiles import Addresses, Profile
from keys.software import SoftwareKeyStore, new_passphrase
from keys.store import OpenKey

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
    keys: SoftwareKeyStore,
    root_keys: SoftwareKeyStore,
    passphrases: Mapping[str, str],
    *,
    plan_sha256: str,
    software: str,
    now: datetime,
) -> Approval:
    """Make every key of the plan and certify it; return the record, signed by all custodians.

    The root's key goes into `root_keys`, everything else into `keys`. `passphrases` are by holder. What an
    issuing CA certifies is approved by the custodians, as later. All is made in memory and written at the
    end: a refusal writes nothing. Raises KeyAlreadyExists, WeakPassphrase, PassphrasesAlike,
    ProfileViolation, AlgorithmNotSupported, or ApprovalNotValid with fewer than two custodians.
    """
    _require_ready(plan, keys, root_keys, passphrases)
    made: dict[str, _Made] = {}
    # The custodians come first: they approve what the issuing CA certifies, and that it is one.
    for entry in sorted(plan.entries, key=lambda each: each.profile not in _OF_THE_ROOT):
        made[entry.name] = _make(plan, entry, made, now)
    for each in made.values():
        kept_in = root_keys if each.entry.profile is profiles.ROOT else keys
        if each.approval:
            kept_in.add_approval(each.entry.name, each.approval.to_json())
        chain = [each.opened.certificate, *each.opened.chain] if each.opened else []
        kept_in.add_key(each.entry.name, each.private_key, chain, passphrases[each.entry.holder])
    root = made[store.ROOT].opened
    assert root
    if root_keys.folder != keys.folder:
        keys.publish_certificates(store.ROOT, [root.certificate])
    write_root_list(keys, store.ROOT, root, [], number=1, now=now)
    facts = {
        "act": "ceremony",
        "format": RECORD_FORMAT,
        "at": now.astimezone(UTC).isoformat(),
        "software": software,
        "plan_sha256": plan_sha256,
        "root_key_sha256": hashlib.sha256(root_keys.encrypted_key(store.ROOT)).hexdigest(),
        "certificates": {
            name: fingerprint(each.opened.certificate) for name, each in made.items() if each.opened
        },
        "keys": {
            name: key_fingerprint(each.private_key.public_key())
            for name, each in made.items()
            if not each.opened
        },
    }
    return approve(canonical(facts), _custodians(made))


@dataclass(frozen=True)
class _Made:
    entry: Entry
    private_key: PrivateKey
    opened: OpenKey | None = None
    approval: Approval | None = None


_OF_THE_ROOT = (profiles.ROOT, profiles.CUSTODIAN)


def _custodians(made: Mapping[str, _Made]) -> list[OpenKey]:
    return [each.opened for each in made.values() if each.opened and each.entry.profile is profiles.CUSTODIAN]


def _require_ready(
    plan: Plan, keys: SoftwareKeyStore, root_keys: SoftwareKeyStore, passphrases: Mapping[str, str]
) -> None:
    if keys.names() or root_keys.names():
        raise KeyAlreadyExists("This folder holds keys already. Choose an empty one for a new hierarchy.")
    given = [new_passphrase(passphrases[holder]) for holder in plan.holders]
    if len(set(given)) < len(given):
        raise PassphrasesAlike("Every holder needs a passphrase of their own.")


def _make(plan: Plan, entry: Entry, made: Mapping[str, _Made], now: datetime) -> _Made:
    """Make an entry's key and certify it, approved where an approval is needed."""
    private_key = generate_key(entry.algorithm)
    if not entry.profile:
        return _Made(entry, private_key)
    assert entry.subject
    issuer = made[entry.profile.issued_by].opened if entry.profile.issued_by else None
    draft = draft_certificate(
        entry.profile,
        entry.subject,
        private_key.public_key(),
        issuer.certificate if issuer else None,
        now=now,
        validity=entry.validity,
        addresses=addresses_below(plan.base_url, issuer.name) if issuer else Addresses(),
    )
    approval = None
    if entry.profile not in _OF_THE_ROOT:
        statement = certificate_statement("ceremony", entry.name, draft.preview(), now=now)
        approval = approve(statement, _custodians(made))
    sign = sign_with(private_key)
    certificate = sign_draft(draft, issuer.sign if issuer else sign)
    chain = (issuer.certificate, *issuer.chain) if issuer else ()
    return _Made(entry, private_key, OpenKey(entry.name, certificate, chain, sign), approval)


def fingerprint(certificate: x509.Certificate) -> str:
    """Return the SHA-256 of a certificate, in hexadecimal digits."""
    return hashlib.sha256(certificate.public_bytes(Encoding.DER)).hexdigest()


def key_fingerprint(public_key: PublicKey) -> str:
    """Return the SHA-256 of a key's SubjectPublicKeyInfo, in hexadecimal digits."""
    der = public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).hexdigest()
