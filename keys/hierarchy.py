"""A city's own hierarchy: roots made, keys made where they stay and certified, lists of the root signed."""

import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509

from keys import profiles, store
from keys.algorithms import P256, generate_key
from keys.approval import Approver
from keys.authority import Subject, create_root, draft_certificate, issue_certificate, sign_draft
from keys.profiles import Addresses, Profile
from keys.revocation import Revocation, build_crl, read_revocations
from keys.software import ROOT_FILES, SoftwareKeyStore, load_certificates, new_passphrase
from keys.store import BareKey, KeyStore, KeyVault, OpenKey

EXAMPLE_MARK = "(CONTOH)"
"""Ends the common names of our own hierarchy, which the national authority has not recognised."""

RESPONDER_RENEWED = timedelta(days=60)
"""A responder's certificate of 90 days is renewed when less than this is left."""

ROOT_LIST_VALIDITY = timedelta(days=400)
"""How long the root's revocation list speaks: its key is fetched from its safe once a year."""


# Making keys --------------------------------------------------------------------------------------


def make_root(
    keys: KeyStore,
    root_keys: SoftwareKeyStore,
    name: str,
    subject: Subject,
    passphrase: str,
    *,
    now: datetime,
    algorithm: str = P256.name,
    validity: timedelta | None = None,
    approve: Approver | None = None,
) -> OpenKey:
    """Make a root's key in `root_keys`, publish its certificate and first list in `keys`; return it opened.

    `approve` is as for `make_key`. Raises KeyAlreadyExists, WeakPassphrase, ProfileViolation or
    AlgorithmNotSupported.
    """
    new_passphrase(passphrase)
    private_key = generate_key(algorithm)
    root = replace(create_root(subject, private_key, now=now, validity=validity), name=name)
    if approve:
        keys.add_approval(name, approve(name, root.certificate).to_json())
    root_keys.add_key(name, private_key, [root.certificate], passphrase)
    keys.publish_certificates(name, [root.certificate])
    _write_root_list(keys, name, root, [], number=1, now=now)
    return root


def make_key(
    keys: KeyStore,
    name: str,
    profile: Profile,
    subject: Subject,
    issuer: OpenKey,
    *,
    passphrase: str,
    now: datetime,
    algorithm: str = P256.name,
    validity: timedelta | None = None,
    addresses: Addresses = Addresses(),
    approve: Approver | None = None,
) -> x509.Certificate:
    """Make a key where it stays, have the issuer certify it, and keep the certificate with its chain.

    `approve` sees the certificate before it is signed; what it returns is kept first, so that a crash leaves
    an approval of nothing, never a certificate without one. Raises KeyAlreadyExists, WeakPassphrase,
    WrongPassphrase (a token's PIN), KeyNameNotAllowed, ProfileViolation or AlgorithmNotSupported.
    """
    with _new_key(keys, name, algorithm, passphrase, now) as key:
        draft = draft_certificate(
            profile,
            subject,
            key.public_key,
            issuer.certificate,
            now=now,
            validity=validity,
            addresses=addresses,
        )
        approval = approve(name, draft.preview()) if approve else None
        certificate = sign_draft(draft, issuer.sign)
        if approval:
            keys.add_approval(name, approval.to_json())
        keys.add_certificates(name, [certificate, issuer.certificate, *issuer.chain], passphrase, now=now)
    return certificate


def _new_key(keys: KeyVault, name: str, algorithm: str, passphrase: str, now: datetime) -> BareKey:
    """Make a key, or open the one that a crash left before it was certified."""
    if name in keys.names() and not keys.certificates(name):
        return keys.open_bare_key(name, passphrase, now=now)
    return keys.generate_key(name, algorithm, passphrase, now=now)


def enrol_official(
    keys: KeyStore,
    slug: str,
    subject: Subject,
    *,
    official_passphrase: str,
    operations_passphrase: str,
    now: datetime,
    algorithm: str = P256.name,
    issuing_addresses: Addresses = Addresses(),
    approve: Approver | None = None,
) -> x509.Certificate:
    """Make the key `official-<slug>` under the official's own passphrase and issue its certificate.

    Raises WrongPassphrase when `operations_passphrase` does not open the issuing CA, KeyLocked after too
    many of those, KeyNotFound, and as `make_key`.
    """
    with keys.open_key(latest(keys, store.ISSUING), operations_passphrase, now=now) as issuing:
        return make_key(
            keys,
            f"{store.OFFICIAL_PREFIX}{slug}",
            profiles.OFFICIAL,
            subject,
            issuing,
            passphrase=official_passphrase,
            now=now,
            algorithm=algorithm,
            addresses=issuing_addresses,
            approve=approve,
        )


def appoint_custodian(
    keys: KeyStore,
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
    with root_keys.open_key(latest(root_keys, store.ROOT), root_passphrase, now=now) as root:
        return make_key(
            keys,
            f"{store.CUSTODIAN_PREFIX}{slug}",
            profiles.CUSTODIAN,
            subject,
            root,
            passphrase=custodian_passphrase,
            now=now,
            addresses=root_addresses,
        )


# Generations --------------------------------------------------------------------------------------


def generations(names: Iterable[str], base: str) -> list[str]:
    """Return the names of a key's generations, oldest first: `tsa`, `tsa-2`, `tsa-3`."""
    found = (name for name in names if re.fullmatch(rf"{re.escape(base)}(-[0-9]+)?", name))
    return sorted(found, key=lambda name: _generation(name, base))


def _generation(name: str, base: str) -> int:
    return int(name.removeprefix(base).lstrip("-") or "1")


def latest(keys: KeyVault, base: str) -> str:
    """Return the name of a key's latest generation that was certified; `base` itself when there is none."""
    certified = (name for name in generations(keys.names(), base) if keys.certificates(name))
    return max(certified, key=lambda name: _generation(name, base), default=base)


def renew_root(
    keys: KeyStore,
    root_keys: SoftwareKeyStore,
    passphrase: str,
    *,
    now: datetime,
    algorithm: str = P256.name,
    approve: Approver | None = None,
) -> x509.Certificate:
    """Make the next root, under a passphrase of its own. Older ones keep proving what they certified.

    Raises KeyNotFound, and as `make_root`.
    """
    name, subject = _next_generation(keys, latest(root_keys, store.ROOT), profiles.ROOT)
    with make_root(
        keys, root_keys, name, subject, passphrase, now=now, algorithm=algorithm, approve=approve
    ) as root:
        return root.certificate


def renew_key(
    keys: KeyStore,
    profile: Profile,
    *,
    passphrase: str,
    issuer_passphrase: str,
    now: datetime,
    root_keys: KeyVault | None = None,
    algorithm: str = P256.name,
    addresses: Addresses = Addresses(),
    approve: Approver | None = None,
) -> x509.Certificate:
    """Make the next generation of a key of the hierarchy under `passphrase`, and certify it.

    The latest root, in `root_keys`, certifies an issuing CA, the latest issuing CA everything else;
    `issuer_passphrase` opens those two. Older generations keep proving what they signed. Raises KeyNotFound,
    KeyLocked, and as `make_key`.
    """
    name, subject = _next_generation(keys, latest(keys, profile.name), profile)
    issuer_base = profile.issued_by or profile.name
    issuer_keys = root_keys if root_keys and issuer_base == store.ROOT else keys
    with issuer_keys.open_key(latest(issuer_keys, issuer_base), issuer_passphrase, now=now) as issuer:
        return make_key(
            keys,
            name,
            profile,
            subject,
            issuer,
            passphrase=passphrase,
            now=now,
            algorithm=algorithm,
            addresses=addresses,
            approve=approve,
        )


def _next_generation(keys: KeyVault, old: str, profile: Profile) -> tuple[str, Subject]:
    """Return the name and the subject of a key's next generation.

    An authority gets a name of its own: two of one name would share their lists' name.
    """
    generation = _generation(old, profile.name) + 1
    subject = Subject.of(keys.certificates(old)[0])
    if profile.is_authority:
        plain = re.sub(r"( G[0-9]+)? \(CONTOH\)$", "", subject.common_name)
        subject = replace(subject, common_name=f"{plain} G{generation} {EXAMPLE_MARK}")
    return f"{profile.name}-{generation}", subject


# The root's list ----------------------------------------------------------------------------------


def sign_root_list(
    keys: KeyStore,
    root_passphrase: str,
    *,
    now: datetime,
    root_keys: KeyVault | None = None,
    name: str = store.ROOT,
    revocation: Revocation | None = None,
) -> None:
    """Sign a root's revocation list anew, with one more revoked certificate if there is one.

    The root's key lies in `root_keys`, the list in `keys`. Raises WrongPassphrase, KeyLocked, KeyNotFound or
    KeyFileDamaged.
    """
    number, revocations = read_revocations(keys.revocation_list(name))
    added = [revocation] if revocation else []
    with (root_keys or keys).open_key(name, root_passphrase, now=now) as root:
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


# Responders ---------------------------------------------------------------------------------------


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
        else keys.generate_key(name, P256.name, passphrase, now=now)
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
