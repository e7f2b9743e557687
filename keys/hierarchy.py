"""A city's own hierarchy in a software key store: root, issuing CA, TSA, seal, log key and officials."""

import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509

from keys import profiles, store
from keys.algorithms import PrivateKey, generate_key, sign_with
from keys.authority import Subject, create_root, issue_certificate
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


def init_hierarchy(
    keys: SoftwareKeyStore,
    *,
    organisation: str,
    root_passphrase: str,
    operations_passphrase: str,
    now: datetime,
    locality: str | None = None,
    algorithm: str = "p256",
    root_addresses: Addresses = Addresses(),
    issuing_addresses: Addresses = Addresses(),
) -> None:
    """Make `root` under its own passphrase, and `issuing`, `tsa`, `seal` and `log` under the operators'.

    `algorithm` is `p256`, `p384` or `rsa3072`; the log's key is always Ed25519. The addresses are those
    that the root's and the issuing CA's certificates name for their own services. Nothing is written when
    a key exists already or a passphrase is too weak. Raises KeyAlreadyExists, WeakPassphrase,
    ProfileViolation or AlgorithmNotSupported.
    """
    if keys.names():
        raise KeyAlreadyExists("This folder holds keys already. Choose an empty one for a new hierarchy.")
    new_passphrase(root_passphrase)
    new_passphrase(operations_passphrase)

    def subject(common_name: str) -> Subject:
        return Subject(f"{common_name} {EXAMPLE_MARK}", organisation=organisation, locality=locality)

    root_key = generate_key(algorithm)
    root = create_root(subject("Canting Root CA"), root_key, now=now)
    issuing_key = generate_key(algorithm)
    issuing = _certify(
        profiles.ISSUING_CA, subject("Canting Issuing CA"), issuing_key, root, now, root_addresses
    )
    tsa_key, seal_key = generate_key(algorithm), generate_key(algorithm)
    tsa = _certify(profiles.TSA, subject("Canting TSA"), tsa_key, issuing, now, issuing_addresses)
    seal = _certify(profiles.SEAL, subject("Segel Elektronik"), seal_key, issuing, now, issuing_addresses)

    keys.add_key(store.ROOT, root_key, [root.certificate], root_passphrase)
    _write_root_list(keys, store.ROOT, root, [], number=1, now=now)
    for opened, private_key in ((issuing, issuing_key), (tsa, tsa_key), (seal, seal_key)):
        chain = [opened.certificate, *opened.chain]
        keys.add_key(opened.name, private_key, chain, operations_passphrase)
    keys.add_key(store.LOG, generate_key("ed25519"), [], operations_passphrase)


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
) -> x509.Certificate:
    """Make the key `official-<slug>` under the official's own passphrase and issue its certificate.

    Raises WrongPassphrase when `operations_passphrase` does not open the issuing CA, KeyLocked after too
    many of those, KeyAlreadyExists, WeakPassphrase, KeyNotFound, KeyNameNotAllowed, ProfileViolation or
    AlgorithmNotSupported.
    """
    new_passphrase(official_passphrase)
    issuing = keys.open_key(latest(keys, store.ISSUING), operations_passphrase, now=now)
    private_key = generate_key(algorithm)
    official = _certify(profiles.OFFICIAL, subject, private_key, issuing, now, issuing_addresses)
    chain = [official.certificate, *official.chain]
    keys.add_key(f"{store.OFFICIAL_PREFIX}{slug}", private_key, chain, official_passphrase)
    return official.certificate


def sign_root_list(
    keys: SoftwareKeyStore,
    root_passphrase: str,
    *,
    now: datetime,
    name: str = store.ROOT,
    revocation: Revocation | None = None,
) -> None:
    """Sign a root's revocation list anew, with one more revoked authority if there is one.

    Raises WrongPassphrase, KeyLocked, KeyNotFound or KeyFileDamaged.
    """
    root = keys.open_key(name, root_passphrase, now=now)
    number, revocations = read_revocations(keys.revocation_list(name))
    added = [revocation] if revocation else []
    _write_root_list(keys, name, root, [*revocations, *added], number=number + 1, now=now)


def _write_root_list(
    keys: SoftwareKeyStore,
    name: str,
    root: OpenKey,
    revocations: list[Revocation],
    *,
    number: int,
    now: datetime,
) -> None:
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
) -> x509.Certificate:
    """Make the next generation of a key of the hierarchy under `passphrase`, and certify it.

    A root certifies itself, the latest root an issuing CA, the latest issuing CA everything else;
    `issuer_passphrase` opens those two. Older generations keep proving what they signed. Raises
    WrongPassphrase, KeyLocked, KeyNotFound, KeyAlreadyExists, WeakPassphrase, ProfileViolation or
    AlgorithmNotSupported.
    """
    new_passphrase(passphrase)
    old = latest(keys, profile.name)
    generation = _generation(old, profile.name) + 1
    subject = _successor(Subject.of(keys.certificates(old)[0]), profile, generation)
    private_key = generate_key(algorithm)
    if profile is profiles.ROOT:
        renewed = create_root(subject, private_key, now=now)
    else:
        issuer = keys.open_key(
            latest(keys, store.ROOT if profile.is_authority else store.ISSUING), issuer_passphrase, now=now
        )
        renewed = _certify(profile, subject, private_key, issuer, now, addresses)
    name = f"{profile.name}-{generation}"
    keys.add_key(name, private_key, [renewed.certificate, *renewed.chain], passphrase)
    if profile is profiles.ROOT:
        _write_root_list(keys, name, renewed, [], number=1, now=now)
    return renewed.certificate


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


def _certify(
    profile: Profile,
    subject: Subject,
    private_key: PrivateKey,
    issuer: OpenKey,
    now: datetime,
    addresses: Addresses,
) -> OpenKey:
    """Issue a certificate to a new key and return the key opened, named after its profile."""
    certificate = issue_certificate(
        profile, subject, private_key.public_key(), issuer, now=now, addresses=addresses
    )
    return OpenKey(profile.name, certificate, (issuer.certificate, *issuer.chain), sign_with(private_key))
