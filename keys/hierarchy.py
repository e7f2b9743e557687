"""A city's own hierarchy in its key store: root, issuing CA, TSA, seal, log key and officials."""

import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from cryptography import x509

from keys import profiles, store
from keys.algorithms import generate_key
from keys.authority import Subject, create_root, issue_certificate
from keys.errors import KeyAlreadyExists
from keys.profiles import Addresses, Profile
from keys.revocation import Revocation, build_crl, read_revocations
from keys.software import ROOT_FILES, load_certificates, new_passphrase
from keys.store import KeyStore, KeyVault, OpenKey

EXAMPLE_MARK = "(CONTOH)"
"""Ends the common names of our own hierarchy, which the national authority has not recognised."""

RESPONDER_RENEWED = timedelta(days=60)
"""A responder's certificate of 90 days is renewed when less than this is left."""

ROOT_LIST_VALIDITY = timedelta(days=400)
"""How long the root's revocation list speaks: its key is fetched from its safe once a year."""


def init_hierarchy(
    keys: KeyStore,
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
        raise KeyAlreadyExists("The key store holds keys already. Choose an empty one for a new hierarchy.")
    new_passphrase(root_passphrase)
    new_passphrase(operations_passphrase)

    def subject(common_name: str) -> Subject:
        return Subject(f"{common_name} {EXAMPLE_MARK}", organisation=organisation, locality=locality)

    root_key = generate_key(algorithm)
    root = create_root(subject("Canting Root CA"), root_key, now=now)
    keys.add_key(store.ROOT, root_key, [root.certificate], root_passphrase)
    _write_root_list(keys, store.ROOT, root, [], number=1, now=now)
    make = partial(_make_key, keys, algorithm=algorithm, passphrase=operations_passphrase, now=now)
    make(store.ISSUING, profiles.ISSUING_CA, subject("Canting Issuing CA"), root, addresses=root_addresses)
    with keys.open_key(store.ISSUING, operations_passphrase, now=now) as issuing:
        make(store.TSA, profiles.TSA, subject("Canting TSA"), issuing, addresses=issuing_addresses)
        make(store.SEAL, profiles.SEAL, subject("Segel Elektronik"), issuing, addresses=issuing_addresses)
    keys.generate_key(store.LOG, "ed25519", operations_passphrase, now=now).close()


def enrol_official(
    keys: KeyStore,
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
    with keys.open_key(latest(keys, store.ISSUING), operations_passphrase, now=now) as issuing:
        return _make_key(
            keys,
            f"{store.OFFICIAL_PREFIX}{slug}",
            profiles.OFFICIAL,
            subject,
            issuing,
            algorithm=algorithm,
            passphrase=official_passphrase,
            addresses=issuing_addresses,
            now=now,
        )


def sign_root_list(
    keys: KeyStore,
    root_passphrase: str,
    *,
    now: datetime,
    name: str = store.ROOT,
    revocation: Revocation | None = None,
) -> None:
    """Sign a root's revocation list anew, with one more revoked authority if there is one.

    Raises WrongPassphrase, KeyLocked, KeyNotFound or KeyFileDamaged.
    """
    number, revocations = read_revocations(keys.revocation_list(name))
    added = [revocation] if revocation else []
    with keys.open_key(name, root_passphrase, now=now) as root:
        _write_root_list(keys, name, root, [*revocations, *added], number=number + 1, now=now)


def _write_root_list(
    keys: KeyStore,
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


def latest(keys: KeyVault, base: str) -> str:
    """Return the name of a key's latest generation; `base` itself when there is none."""
    return (generations(keys.names(), base) or [base])[-1]


def renew_key(
    keys: KeyStore,
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
    old = latest(keys, profile.name)
    generation = _generation(old, profile.name) + 1
    subject = _successor(Subject.of(keys.certificates(old)[0]), profile, generation)
    name = f"{profile.name}-{generation}"
    if profile is profiles.ROOT:
        private_key = generate_key(algorithm)
        root = create_root(subject, private_key, now=now)
        keys.add_key(name, private_key, [root.certificate], passphrase)
        _write_root_list(keys, name, root, [], number=1, now=now)
        return root.certificate
    issuer_name = latest(keys, store.ROOT if profile.is_authority else store.ISSUING)
    with keys.open_key(issuer_name, issuer_passphrase, now=now) as issuer:
        return _make_key(
            keys,
            name,
            profile,
            subject,
            issuer,
            algorithm=algorithm,
            passphrase=passphrase,
            addresses=addresses,
            now=now,
        )


def _successor(subject: Subject, profile: Profile, generation: int) -> Subject:
    """Name an authority's next generation: two authorities of one name would share their lists' name."""
    if not profile.is_authority:
        return subject
    plain = re.sub(r"( G[0-9]+)? \(CONTOH\)$", "", subject.common_name)
    return replace(subject, common_name=f"{plain} G{generation} {EXAMPLE_MARK}")


def responder_name(issuing: str) -> str:
    """Return the name of the responder's key that belongs to an issuing CA's: `ocsp-2` for `issuing-2`."""
    return store.OCSP + issuing.removeprefix(store.ISSUING)


def issuing_in_force(keys: KeyVault, now: datetime) -> list[str]:
    """Return the names of the issuing CAs whose certificates are valid."""
    names = generations(keys.names(), store.ISSUING)
    certificates = {name: keys.certificates(name)[0] for name in names}
    return [
        name
        for name, each in certificates.items()
        if each.not_valid_before_utc <= now <= each.not_valid_after_utc
    ]


def renew_responders(
    keys: KeyVault, passphrase: str, *, now: datetime, before: timedelta = RESPONDER_RENEWED
) -> None:
    """Certify the OCSP responders of the issuing CAs anew, so long `before` their certificates end.

    Raises WrongPassphrase or KeyLocked.
    """
    for issuing in issuing_in_force(keys, now):
        name = responder_name(issuing)
        known = keys.certificates(name) if name in keys.names() else ()
        if not known or known[0].not_valid_after_utc - now < before:
            with keys.open_key(issuing, passphrase, now=now) as authority:
                certify_responder(keys, name, authority, passphrase, now=now)


def certify_responder(
    keys: KeyVault, name: str, authority: OpenKey, passphrase: str, *, now: datetime
) -> None:
    """Certify the OCSP responder `name` of an issuing CA anew; make its key first if it is not there.

    Raises WrongPassphrase, KeyLocked, WeakPassphrase, KeyFileDamaged or ProfileViolation.
    """
    with (
        keys.open_bare_key(name, passphrase, now=now)
        if name in keys.names()
        else keys.generate_key(name, "p256", passphrase, now=now)
    ) as key:
        public_key = key.public_key
    issuer = Subject.of(authority.certificate)
    subject = replace(issuer, common_name=f"Canting OCSP {EXAMPLE_MARK}", title=None)
    certificate = issue_certificate(profiles.OCSP_RESPONDER, subject, public_key, authority, now=now)
    chain = [certificate, authority.certificate, *authority.chain]
    keys.add_certificates(name, chain, passphrase, now=now)


def load_trust_anchors(folder: Path) -> list[x509.Certificate]:
    """Read all roots, past ones too, of a software key store's folder. Raises KeyFileDamaged."""
    return [each for path in sorted(folder.glob(ROOT_FILES)) for each in load_certificates(path)]


def _make_key(
    keys: KeyVault,
    name: str,
    profile: Profile,
    subject: Subject,
    issuer: OpenKey,
    *,
    algorithm: str,
    passphrase: str,
    addresses: Addresses,
    now: datetime,
) -> x509.Certificate:
    """Make a key where it stays, have the issuer certify it, and keep the certificate with its chain."""
    with keys.generate_key(name, algorithm, passphrase, now=now) as key:
        certificate = issue_certificate(
            profile, subject, key.public_key, issuer, now=now, addresses=addresses
        )
        chain = [certificate, issuer.certificate, *issuer.chain]
        keys.add_certificates(name, chain, passphrase, now=now)
    return certificate
