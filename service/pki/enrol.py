"""Making the hierarchy and enrolling signing officials: what an operator does at the command line.

Passphrases are arguments here and nowhere else; nothing that is written or recorded holds one.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from cryptography import x509
from sqlmodel import Session, select

from keys import store
from keys.authority import Subject
from keys.ceremony import OPERATIONS, addresses_below
from keys.hierarchy import enrol_official, latest, renew_key
from keys.profiles import PROFILES, ROOT, Addresses
from keys.software import STRONG, KdfCost, SoftwareKeyStore
from service.accounts.access import SERVICE, SIGNING_ROLE
from service.accounts.models import Kind, User
from service.accounts.officers import Officer, OfficerDetails, change_officer, find_officer
from service.accounts.person import clean_email
from service.config import Settings
from service.errors import Conflict, NotFound
from service.pki.approve import Custodians
from service.pki.plan import LONGEST_PART, example_plan, read_plan
from service.pki.register import record_folder, revoke_certificate
from service.pki.transcript import hold


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
) -> SoftwareKeyStore:
    """Hold the ceremony of the example plan, with this installation's names, in the settings' folder.

    `passphrases` are the root's and each custodian's; the operations passphrase is the settings'. What a
    demonstration and tests need: a city writes a plan of its own. Raises as `hold_ceremony`.
    """
    root_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    plan_file = root_folder / "plan.yaml"
    plan_file.write_text(example_plan(settings.base_url, organisation(settings), locality(settings)))
    keys = SoftwareKeyStore(settings.effective_keys_folder, cost)
    operations = settings.operations_passphrase.get_secret_value()
    hold(
        plan_file,
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
    custodians: Custodians,
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
    keys = SoftwareKeyStore(settings.effective_keys_folder, cost)
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
        approve=custodians.approver(act, now),
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
    custodians: Custodians,
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


def renew_service_key(
    session: Session,
    settings: Settings,
    base: str,
    *,
    custodians: Custodians,
    root_keys: SoftwareKeyStore | None,
    root_passphrase: str | None,
    now: datetime,
    cost: KdfCost = STRONG,
) -> str:
    """Make the next generation of the root, the issuing CA, the TSA or the seal; return its name.

    The custodians approve it. `root_passphrase` opens the root in `root_keys` for a new issuing CA, and shall
    open a new root. Raises what the key store raises: WrongPassphrase, KeyLocked, KeyNotFound,
    WeakPassphrase.
    """
    keys = SoftwareKeyStore(settings.effective_keys_folder, cost)
    profile = PROFILES[base]
    operations = settings.operations_passphrase.get_secret_value()
    is_roots = profile.issued_by != store.ISSUING
    issuer = latest(root_keys if is_roots and root_keys else keys, store.ROOT if is_roots else store.ISSUING)
    renew_key(
        keys,
        profile,
        passphrase=(root_passphrase or "") if profile is ROOT else operations,
        issuer_passphrase=(root_passphrase or "") if is_roots else operations,
        now=now,
        addresses=addresses(settings, issuer),
        root_keys=root_keys,
        approve=custodians.approver("renew", now),
    )
    record_folder(session, keys, now)
    return latest(root_keys if profile is ROOT and root_keys else keys, base)


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


def _free_slug(keys: SoftwareKeyStore, email: str) -> str:
    plain = re.sub(r"[^a-z0-9]+", "-", email.partition("@")[0]).strip("-")[:40] or "pejabat"
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
