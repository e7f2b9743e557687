"""What the published PKI says: revocation lists, refreshed long before they go stale."""

from datetime import datetime, timedelta

from sqlalchemy import Engine
from sqlmodel import Session

from keys import store
from keys.hierarchy import generations
from keys.revocation import build_crl, read_revocations
from keys.software import SoftwareKeyStore
from keys.store import OpenKey
from service.database import transaction
from service.pki.register import newest_list, record_folder, record_list, revocations_of

LIST_VALIDITY = timedelta(days=7)
"""How long a revocation list of an issuing CA speaks (RFC 5280 §5.1.2.5)."""
LIST_REFRESHED = timedelta(days=1)
"""After so long the next list is signed: the service may stand still for six days."""


def publish_revocation_lists(engine: Engine, keys: SoftwareKeyStore, passphrase: str, now: datetime) -> int:
    """Sign a new list for every issuing CA whose list is old or lacks a revocation; return how many.

    The job that runs every hour and after each revocation. Raises WrongPassphrase or KeyLocked.
    """
    with transaction(engine) as session:
        record_folder(session, keys, now)
        due = [name for name in generations(keys.names(), store.ISSUING) if _is_due(session, keys, name, now)]
    for name in due:
        authority = keys.open_key(name, passphrase, now=now)
        with transaction(engine) as session:
            publish_list(session, name, authority, now)
    return len(due)


def publish_list(session: Session, name: str, authority: OpenKey, now: datetime) -> None:
    """Sign an authority's next revocation list and publish it."""
    newest = newest_list(session, name)
    crl = build_crl(
        authority,
        revocations_of(session, name),
        number=newest.number + 1 if newest else 1,
        this_update=now,
        next_update=now + LIST_VALIDITY,
    )
    record_list(session, name, crl)


def _is_due(session: Session, keys: SoftwareKeyStore, name: str, now: datetime) -> bool:
    certificate = keys.certificates(name)[0]
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        return False
    newest = newest_list(session, name)
    if newest is None or now - newest.this_update >= LIST_REFRESHED:
        return True
    # Lists hold whole seconds, and what was revoked is compared as they hold it.
    wanted = {(each.serial_number, each.reason) for each in revocations_of(session, name)}
    return wanted != {(each.serial_number, each.reason) for each in read_revocations(newest.der)[1]}
