"""Making the hierarchy and enrolling signing officials, here or at a service outside, at the command line.

Passphrases are arguments here and nowhere else; nothing that is written or recorded holds one.
"""

import re
from dataclasses import replace
from datetime import datetime

from sqlmodel import Session, select

from keys import profiles, store
from keys.authority import Subject
from keys.hierarchy import enrol_official, init_hierarchy, latest, renew_key
from keys.profiles import Addresses
from keys.software import STRONG, KdfCost
from keys.store import KeyStore
from service.accounts.access import SERVICE, SIGNING_ROLE
from service.accounts.models import Kind, User
from service.accounts.officers import Officer, OfficerDetails, change_officer, find_officer
from service.accounts.person import clean_email
from service.accounts.sealing import outside_context, seal
from service.audit import record_event
from service.config import Settings, parse_wrapping_keys
from service.errors import Conflict, NotFound
from service.pki.register import record_folder
from service.pki.store import open_store

RENEWABLE = {each.name: each for each in (profiles.ROOT, profiles.ISSUING_CA, profiles.TSA, profiles.SEAL)}
LONGEST_PART = 64
"""X.520 allows so many characters in each part of a name."""
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
    settings: Settings, *, root_passphrase: str, now: datetime, cost: KdfCost = STRONG
) -> KeyStore:
    """Make the city's own root, issuing CA, TSA, seal and log key in the settings' key store.

    Raises KeyAlreadyExists or WeakPassphrase, before anything is written.
    """
    keys = open_store(settings, cost)
    init_hierarchy(
        keys,
        organisation=organisation(settings),
        locality=settings.city_name[:LONGEST_PART],
        root_passphrase=root_passphrase,
        operations_passphrase=settings.operations_passphrase.get_secret_value(),
        now=now,
        root_addresses=addresses(settings, store.ROOT),
        issuing_addresses=addresses(settings, store.ISSUING),
    )
    return keys


def enrol_signer(
    session: Session,
    settings: Settings,
    email: str,
    *,
    passphrase: str,
    now: datetime,
    cost: KdfCost = STRONG,
) -> str:
    """Make a signing official's key under the passphrase, certify it, and name it in the account.

    An official who had a key gets a new one beside it. Returns the key's name. Raises OfficerUnknown,
    NotASigner, and what the key store raises: WrongPassphrase (the operations passphrase),
    WeakPassphrase, KeyNotFound.
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
    )
    record_folder(session, keys, now)
    key_name = f"{store.OFFICIAL_PREFIX}{slug}"
    change_officer(session, SERVICE, user.id, replace(_details(officer), key_name=key_name), now)
    return key_name


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
    settings: Settings, base: str, *, root_passphrase: str | None, now: datetime, cost: KdfCost = STRONG
) -> str:
    """Make the next generation of the root, the issuing CA, the TSA or the seal; return its name.

    `root_passphrase` opens the root for a new issuing CA, and shall open a new root. Raises what the key
    store raises: WrongPassphrase, KeyLocked, KeyNotFound, WeakPassphrase.
    """
    keys = open_store(settings, cost)
    profile = RENEWABLE[base]
    operations = settings.operations_passphrase.get_secret_value()
    issuer = latest(keys, store.ROOT if profile.is_authority else store.ISSUING)
    renew_key(
        keys,
        profile,
        passphrase=(root_passphrase or "") if profile is profiles.ROOT else operations,
        issuer_passphrase=(root_passphrase or "") if profile.is_authority else operations,
        now=now,
        addresses=addresses(settings, issuer),
    )
    return latest(keys, base)


def organisation(settings: Settings) -> str:
    """Return the organisation that certificates name."""
    return f"Pemerintah {settings.city_name}"[:LONGEST_PART]


def addresses(settings: Settings, issuer: str) -> Addresses:
    """Return where the certificates of an issuer say that its own services are published."""
    published = f"{settings.base_url}/pki/{issuer}"
    # The roots' keys lie offline, so nobody answers for them live.
    ocsp = None if issuer.startswith(store.ROOT) else f"{settings.base_url}/pki/ocsp"
    return Addresses(crl=f"{published}.crl", ca_issuers=f"{published}.cer", ocsp=ocsp)


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
