"""A city's own hierarchy in a software key store: root, issuing CA, TSA, seal, log key and officials."""

from datetime import datetime
from pathlib import Path

from cryptography import x509

from keys import profiles, store
from keys.authority import Addresses, Subject, create_root, issue_certificate
from keys.errors import KeyAlreadyExists
from keys.profiles import Profile
from keys.software import SoftwareKeyStore, load_certificates, new_passphrase
from keys.store import OpenKey, generate_key, sign_with

EXAMPLE_MARK = "(CONTOH)"
"""Ends the common names of our own hierarchy, which the national authority has not recognised."""


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
    issuing = keys.open_key(store.ISSUING, operations_passphrase, now=now)
    private_key = generate_key(algorithm)
    official = _certify(profiles.OFFICIAL, subject, private_key, issuing, now, issuing_addresses)
    chain = [official.certificate, *official.chain]
    keys.add_key(f"{store.OFFICIAL_PREFIX}{slug}", private_key, chain, official_passphrase)
    return official.certificate


def load_trust_anchors(folder: Path) -> list[x509.Certificate]:
    """Read the roots of a software key store's folder, without any passphrase. Raises KeyFileDamaged."""
    return list(load_certificates(folder / f"{store.ROOT}.pem"))


def _certify(
    profile: Profile,
    subject: Subject,
    private_key: store.PrivateKey,
    issuer: OpenKey,
    now: datetime,
    addresses: Addresses,
) -> OpenKey:
    """Issue a certificate to a new key and return the key opened, named after its profile."""
    certificate = issue_certificate(
        profile, subject, private_key.public_key(), issuer, now=now, addresses=addresses
    )
    return OpenKey(profile.name, certificate, (issuer.certificate, *issuer.chain), sign_with(private_key))
