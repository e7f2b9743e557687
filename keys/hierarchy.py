"""A city's own hierarchy after its ceremony: officials enrolled, keys renewed, lists of the root signed."""

import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509

from keys import profiles, store
from keys.algorithms import PrivateKey, generate_key, sign_with
from keys.approval import Approver
from keys.authority import Draft, Subject, draft_certificate, issue_certificate, sign_draft
from keys.errors import KeyAlreadyExists
from keys.profiles import Addresses, Profile
from keys.revocation import Revocation, build_crl, read_revocations
from keys.software import SoftwareKeyStore, load_certificates, new_passphrase
from keys.store import OpenKey

EXAMPLE_MARK = "(CONTOH)"
"""Ends the common names of our own hierarchy, which the national authority has not recognised."""

ROOT_FILES = "root*.pem"
"""The trust anchors within a key store's folder."""

ROOT_LIST_VALIDITY = timedelta(days=400)
"""How long the root's revocation list speaks: its key is fetched from its safe once a year."""


def enrol_official(
    keys: SoftwareKeyStore,
    slug: str,
    subject: Subject,
    *,
    official_passphrase: str,
    operations_passphrase: str,
    now: datetime,
    algorithm: str = "p256",
    issuing_addresses: Addresses = Addresses(),
    approve: Approver | None = None,
) -> x509.Certificate:
    """Make the key `official-<slug>` under the official's own passphrase and issue its certificate.

    `approve` sees the certificate before it is signed, and what it returns is kept beside it.
    Raises WrongPassphrase when `operations_passphrase` does not open the issuing CA, KeyLocked after too
    many of those, KeyAlreadyExists, WeakPassphrase, KeyNotFound, KeyNameNotAllowed, ProfileViolation or
    AlgorithmNotSupported.
    """
    name = f"{store.OFFICIAL_PREFIX}{slug}"
    _require_free(keys, name, official_passphrase)
    issuing = keys.open_key(latest(keys, store.ISSUING), operations_passphrase, now=now)
    private_key = generate_key(algorithm)
    draft = _draft(profiles.OFFICIAL, subject, private_key, issuing, issuing_addresses, now)
    return _keep(keys, name, private_key, draft, issuing, official_passphrase, approve)


def appoint_custodian(
    keys: SoftwareKeyStore,
    slug: str,
    subject: Subject,
    *,
    custodian_passphrase: str,
    root_keys: SoftwareKeyStore,
    root_passphrase: str,
    now: datetime,
    root_addresses: Addresses = Addresses(),
) -> x509.Certificate:
    """Make the key `custodian-<slug>` under the custodian's own passphrase; the latest root certifies it.

    Raises as `enrol_official`.
    """
    name = f"{store.CUSTODIAN_PREFIX}{slug}"
    _require_free(keys, name, custodian_passphrase)
    root = root_keys.open_key(latest(root_keys, store.ROOT), root_passphrase, now=now)
    private_key = generate_key()
    draft = _draft(profiles.CUSTODIAN, subject, private_key, root, root_addresses, now)
    return _keep(keys, name, private_key, draft, root, custodian_passphrase, None)


def _require_free(keys: SoftwareKeyStore, name: str, passphrase: str) -> None:
    new_passphrase(passphrase)
    if name in keys.names():
        raise KeyAlreadyExists(f"A key named {name} exists already.")


def _draft(
    profile: Profile,
    subject: Subject,
    private_key: PrivateKey,
    issuer: OpenKey | None,
    addresses: Addresses,
    now: datetime,
) -> Draft:
    certificate = issuer.certificate if issuer else None
    public_key = private_key.public_key()
    return draft_certificate(profile, subject, public_key, certificate, now=now, addresses=addresses)


def sign_root_list(
    keys: SoftwareKeyStore,
    root_passphrase: str,
    *,
    now: datetime,
    root_keys: SoftwareKeyStore | None = None,
    name: str = store.ROOT,
    revocation: Revocation | None = None,
) -> None:
    """Sign a root's revocation list anew, with one more revoked certificate if there is one.

    The root's key lies in `root_keys`, the list in `keys`. Raises WrongPassphrase, KeyLocked, KeyNotFound or
    KeyFileDamaged.
    """
    root = (root_keys or keys).open_key(name, root_passphrase, now=now)
    number, revocations = read_revocations(keys.revocation_list(name))
    added = [revocation] if revocation else []
    write_root_list(keys, name, root, [*revocations, *added], number=number + 1, now=now)


def write_root_list(
    keys: SoftwareKeyStore,
    name: str,
    root: OpenKey,
    revocations: list[Revocation],
    *,
    number: int,
    now: datetime,
) -> None:
    """Sign a root's revocation list of this number and keep it in `keys`."""
    crl = build_crl(root, revocations, number=number, this_update=now, next_update=now + ROOT_LIST_VALIDITY)
    keys.add_revocation_list(name, crl)


def generations(names: Iterable[str], base: str) -> list[str]:
    """Return the names of a key's generations, oldest first: `tsa`, `tsa-2`, `tsa-3`."""
    found = (name for name in names if re.fullmatch(rf"{re.escape(base)}(-[0-9]+)?", name))
    return sorted(found, key=lambda name: _generation(name, base))


def _generation(name: str, base: str) -> int:
    return int(name.removeprefix(base).lstrip("-") or "1")


def latest(keys: SoftwareKeyStore, base: str) -> str:
    """Return the name of a key's latest generation; `base` itself when there is none."""
    return (generations(keys.names(), base) or [base])[-1]


def renew_key(
    keys: SoftwareKeyStore,
    profile: Profile,
    *,
    passphrase: str,
    issuer_passphrase: str,
    now: datetime,
    algorithm: str = "p256",
    addresses: Addresses = Addresses(),
    root_keys: SoftwareKeyStore | None = None,
    approve: Approver | None = None,
) -> x509.Certificate:
    """Make the next generation of a key of the hierarchy under `passphrase`, and certify it.

    A root certifies itself, the latest root an issuing CA, the latest issuing CA everything else;
    `issuer_passphrase` opens those two. Roots lie in `root_keys`. Older generations keep proving what they
    signed. `approve` is as for `enrol_official`. Raises WrongPassphrase, KeyLocked, KeyNotFound,
    KeyAlreadyExists, WeakPassphrase, ProfileViolation or AlgorithmNotSupported.
    """
    new_passphrase(passphrase)
    roots = root_keys or keys
    old = latest(roots if profile is profiles.ROOT else keys, profile.name)
    generation = _generation(old, profile.name) + 1
    name = f"{profile.name}-{generation}"
    subject = _successor(Subject.of(keys.certificates(old)[0]), profile, generation)
    private_key = generate_key(algorithm)
    issuer = None
    if profile.issued_by:
        issuer_keys = roots if profile.issued_by == store.ROOT else keys
        issuer = issuer_keys.open_key(latest(issuer_keys, profile.issued_by), issuer_passphrase, now=now)
    draft = _draft(profile, subject, private_key, issuer, addresses, now)
    kept_in = roots if profile is profiles.ROOT else keys
    renewed = _keep(kept_in, name, private_key, draft, issuer, passphrase, approve)
    if profile is profiles.ROOT:
        if roots is not keys:
            keys.publish_certificates(name, [renewed])
            if approved := roots.approval(name):
                keys.add_approval(name, approved)
        root = OpenKey(name, renewed, (), sign_with(private_key))
        write_root_list(keys, name, root, [], number=1, now=now)
    return renewed


def _successor(subject: Subject, profile: Profile, generation: int) -> Subject:
    """Name an authority's next generation: two authorities of one name would share their lists' name."""
    if not profile.is_authority:
        return subject
    plain = re.sub(r"( G[0-9]+)? \(CONTOH\)$", "", subject.common_name)
    return replace(subject, common_name=f"{plain} G{generation} {EXAMPLE_MARK}")


def certify_responder(
    keys: SoftwareKeyStore, name: str, authority: OpenKey, passphrase: str, *, now: datetime
) -> None:
    """Certify the OCSP responder `name` of an issuing CA anew; make its key first if it is not there.

    Raises WrongPassphrase, KeyLocked, WeakPassphrase, KeyFileDamaged or ProfileViolation.
    """
    if name not in keys.names():
        keys.generate_key(name, "p256", passphrase, now=now)
    public_key = keys.open_bare_key(name, passphrase, now=now).public_key
    issuer = Subject.of(authority.certificate)
    subject = replace(issuer, common_name=f"Canting OCSP {EXAMPLE_MARK}", title=None)
    certificate = issue_certificate(profiles.OCSP_RESPONDER, subject, public_key, authority, now=now)
    chain = [certificate, authority.certificate, *authority.chain]
    keys.add_certificates(name, chain, passphrase, now=now)


def load_trust_anchors(folder: Path) -> list[x509.Certificate]:
    """Read all roots, past ones too, of a software key store's folder. Raises KeyFileDamaged."""
    return [each for path in sorted(folder.glob(ROOT_FILES)) for each in load_certificates(path)]


def _keep(
    keys: SoftwareKeyStore,
    name: str,
    private_key: PrivateKey,
    draft: Draft,
    issuer: OpenKey | None,
    passphrase: str,
    approve: Approver | None,
) -> x509.Certificate:
    """Have a draft approved and signed, and keep the key with its certificate. The approval comes first:
    what a crash leaves behind is an approval of nothing, never a certificate without one."""
    approval = approve(name, draft.preview()) if approve else None
    certificate = sign_draft(draft, issuer.sign if issuer else sign_with(private_key))
    if approval:
        keys.add_approval(name, approval.to_json())
    chain = [issuer.certificate, *issuer.chain] if issuer else []
    keys.add_key(name, private_key, [certificate, *chain], passphrase)
    return certificate
