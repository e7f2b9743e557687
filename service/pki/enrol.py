"""Making the hierarchy and enrolling signing officials, here or at a service outside, at the command line.

Passphrases are arguments here and nowhere else; nothing that is written or recorded holds one.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from cryptography import x509
from sqlmodel import Session, select

from keys import store
from keys.approval import approver
from keys.authority import Subject
from keys.ceremony import OPERATIONS, addresses_below
from keys.hierarchy import enrol_official, latest, renew_key, renew_root
from keys.profiles import PROFILES, ROOT, Addresses
from keys.software import STRONG, KdfCost, SoftwareKeyStore
from keys.store import KeyStore, OpenKey
from service.accounts.access import SERVICE, SIGNING_ROLE
from service.accounts.models import Kind, User
from service.accounts.officers import Officer, OfficerDetails, change_officer, find_officer
from service.accounts.person import clean_email
from service.accounts.sealing import outside_context, seal
from service.audit import record_event
from service.config import Settings, parse_wrapping_keys
from service.errors import Conflict, NotFound
from service.pki.plan import LONGEST_PART, example_plan, read_plan
from service.pki.register import record_folder, revoke_certificate
from service.pki.store import open_store
from service.pki.transcript import hold

LONGEST_CERTIFICATE_NAME = 160


class OfficerUnknown(NotFound):
    code = "officer_unknown"
    message_id = "Tidak ada akun petugas dengan alamat surel itu. Buat akunnya terlebih dahulu."
    message_en = "No officer's account has that e-mail address. Create the account first."


class NotASigner(Conflict):
    code = "not_a_signer"
    message_id = "Akun itu tidak memegang peran penanda tangan (department_head)."
    message_en = "That account does not hold the signing role (department_head)."


def make_hierarchy(
    settings: Settings,
    root_folder: Path,
    passphrases: Mapping[str, str],
    *,
    now: datetime,
    cost: KdfCost = STRONG,
) -> KeyStore:
    """Hold the ceremony of the example plan, with this installation's names, in the settings' key store.

    `passphrases` are the root's and each custodian's; the operations passphrase is the settings'. What a
    demonstration and tests need: a city writes a plan of its own. Raises as `hold_ceremony`.
    """
    root_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    plan_file = root_folder / "plan.yaml"
    plan_file.write_text(example_plan(settings.base_url, organisation(settings), locality(settings)))
    keys = open_store(settings, cost)
    operations = settings.operations_passphrase.get_secret_value()
    hold(
        plan_file,
        settings.effective_keys_folder,
        keys,
        SoftwareKeyStore(root_folder, cost),
        {**passphrases, OPERATIONS: operations},
        plan=read_plan(plan_file),
        now=now,
    )
    return keys


def enrol_signer(
    session: Session,
    settings: Settings,
    email: str,
    *,
    passphrase: str,
    custodians: Sequence[OpenKey],
    now: datetime,
    cost: KdfCost = STRONG,
    act: str = "enrol",
) -> str:
    """Make a signing official's key under the passphrase, certify it, and name it in the account.

    The custodians approve the certificate before it is signed. An official who had a key gets a new one
    beside it. Returns the key's name. Raises OfficerUnknown, NotASigner, and what the key store raises:
    WrongPassphrase (the operations passphrase), WeakPassphrase, KeyNotFound.
    """
    officer = find_signer(session, email)
    user = officer.user
    keys = open_store(settings, cost)
    slug = _free_slug(keys, user.email)
    title = user.position if user.position and len(user.position) <= LONGEST_PART else None
    enrol_official(
        keys,
        slug,
        Subject(user.full_name[:LONGEST_PART], organisation=organisation(settings), title=title),
        official_passphrase=passphrase,
        operations_passphrase=settings.operations_passphrase.get_secret_value(),
        now=now,
        issuing_addresses=addresses(settings, latest(keys, store.ISSUING)),
        approve=approver(act, custodians, now),
    )
    record_folder(session, keys, now)
    key_name = f"{store.OFFICIAL_PREFIX}{slug}"
    change_officer(session, SERVICE, user.id, replace(_details(officer), key_name=key_name), now)
    return key_name


def reissue_signer(
    session: Session,
    settings: Settings,
    email: str,
    *,
    passphrase: str,
    custodians: Sequence[OpenKey],
    reason: x509.ReasonFlags,
    compromised_at: datetime | None,
    now: datetime,
    cost: KdfCost = STRONG,
) -> str:
    """Revoke a signing official's certificate and enrol a new key for them, in one act; return its name.

    What was signed before the compromise stays valid. Raises as `enrol_signer`, CertificateUnknown for an
    official who has no key, or AlreadyRevoked.
    """
    old = find_signer(session, email).user.key_name or ""
    revoke_certificate(session, old, reason=reason, compromised_at=compromised_at, actor=SERVICE, now=now)
    return enrol_signer(
        session,
        settings,
        email,
        passphrase=passphrase,
        custodians=custodians,
        now=now,
        cost=cost,
        act="reissue",
    )


def connect_signer(
    session: Session,
    settings: Settings,
    email: str,
    *,
    service: str,
    identity: str,
    certificate_name: str,
    now: datetime,
) -> User:
    """Have an official sign through a service outside from now on. Raises OfficerUnknown or NotASigner.

    `identity` is who they are there: a NIK, an e-mail address, a credential's id. It is private and kept
    sealed; `certificate_name` stands in every certificate, and documents of another name are refused.
    """
    officer = find_signer(session, email)
    details = replace(_details(officer), key_name=service)
    user = change_officer(session, SERVICE, officer.user.id, details, now)
    wrapping_keys = parse_wrapping_keys(settings.wrapping_keys.get_secret_value())
    user.outside_identity = seal(identity.strip(), wrapping_keys, outside_context(user.id))
    user.certificate_name = certificate_name.strip()[:LONGEST_CERTIFICATE_NAME]
    session.add(user)
    record_event(
        session,
        action="signer_connected",
        subject_type="account",
        subject_id=user.id,
        actor_id=SERVICE.user_id,
        actor_name=SERVICE.full_name,
        actor_role=SERVICE.role_for_audit,
        now=now,
        data={"service": service, "certificate_name": user.certificate_name},
    )
    return user


def renew_service_key(
    session: Session,
    settings: Settings,
    base: str,
    *,
    custodians: Sequence[OpenKey],
    now: datetime,
    root_keys: SoftwareKeyStore | None = None,
    root_passphrase: str = "",
    cost: KdfCost = STRONG,
) -> str:
    """Make the next generation of the root, the issuing CA, the TSA or the seal; return its name.

    The custodians approve it. `root_passphrase` opens the root in `root_keys` for a new issuing CA, and shall
    open a new root. Raises what the key store raises: WrongPassphrase, KeyLocked, KeyNotFound,
    WeakPassphrase.
    """
    keys, profile, approve = open_store(settings, cost), PROFILES[base], approver("renew", custodians, now)
    if profile is ROOT:
        assert root_keys
        renew_root(keys, root_keys, root_passphrase, now=now, approve=approve)
        record_folder(session, keys, now)
        return latest(root_keys, base)
    operations = settings.operations_passphrase.get_secret_value()
    issuer_keys, issuer_passphrase = keys, operations
    if profile.issued_by == store.ROOT:
        assert root_keys
        issuer_keys, issuer_passphrase = root_keys, root_passphrase
    renew_key(
        keys,
        profile,
        passphrase=operations,
        issuer_passphrase=issuer_passphrase,
        now=now,
        root_keys=root_keys,
        addresses=addresses(settings, latest(issuer_keys, profile.issued_by or base)),
        approve=approve,
    )
    record_folder(session, keys, now)
    return latest(keys, base)


def organisation(settings: Settings) -> str:
    """Return the organisation that certificates name."""
    return f"Pemerintah {settings.city_name}"[:LONGEST_PART]


def locality(settings: Settings) -> str:
    """Return the place that certificates name."""
    return settings.city_name[:LONGEST_PART]


def addresses(settings: Settings, issuer: str) -> Addresses:
    """Return where the certificates of an issuer say that its own services are published."""
    return addresses_below(settings.base_url, issuer)


def find_signer(session: Session, email: str) -> Officer:
    """Return the officer of the address, who holds the signing role. Raises OfficerUnknown or NotASigner."""
    statement = select(User.id).where(User.email == clean_email(email), User.kind == Kind.OFFICER)
    user_id = session.exec(statement).first()
    if user_id is None:
        raise OfficerUnknown
    officer = find_officer(session, user_id, lock=True)
    if SIGNING_ROLE not in officer.roles:
        raise NotASigner
    return officer


def _free_slug(keys: KeyStore, email: str) -> str:
    """Return what names an official's new key; with its prefix it must fit a token's label of 32 octets."""
    plain = re.sub(r"[^a-z0-9]+", "-", email.partition("@")[0]).strip("-")[:20] or "pejabat"
    taken, number, slug = set(keys.names()), 1, plain
    while f"{store.OFFICIAL_PREFIX}{slug}" in taken:
        number += 1
        slug = f"{plain}-{number}"
    return slug


def _details(officer: Officer) -> OfficerDetails:
    user = officer.user
    return OfficerDetails(
        user.full_name,
        officer.roles,
        user.position or "",
        user.rank or "",
        user.nip or "",
        user.agency or "",
        user.key_name or "",
    )
