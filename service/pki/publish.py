"""The hourly job of the published PKI: revocation lists that never go stale, and answers signed beforehand.

The responder of an issuing CA has a key of its own, `ocsp` for `issuing` and `ocsp-2` for `issuing-2`. Its
certificate lives for weeks only, because nobody can revoke it (RFC 6960 §4.2.2.2.1).
"""

from datetime import datetime, timedelta

from pydantic import SecretStr
from sqlalchemy import Engine
from sqlmodel import Session

from keys.hierarchy import issuing_in_force, renew_responders
from keys.revocation import build_crl, read_revocations
from keys.store import KeyStore, OpenKey
from service.database import transaction
from service.pki.answers import Responders, presign_answers
from service.pki.register import newest_list, record_folder, record_list, revocations_of

LIST_VALIDITY = timedelta(days=7)
"""How long a revocation list of an issuing CA speaks (RFC 5280 §5.1.2.5)."""
LIST_REFRESHED = timedelta(days=1)
"""After so long the next list is signed: the service may stand still for six days."""


def publish_revocation_lists(engine: Engine, keys: KeyStore, passphrase: str, now: datetime) -> int:
    """Sign a new list for every issuing CA whose list is old or lacks a revocation; return how many.

    Certify the OCSP responders anew whose certificates end soon. The job that runs every hour and after
    each revocation. Raises WrongPassphrase or KeyLocked.
    """
    renew_responders(keys, passphrase, now=now)
    with transaction(engine) as session:
        record_folder(session, keys, now)
        issuing = issuing_in_force(keys, now)
        due = [name for name in issuing if _is_due(session, name, now)]
    for name in due:
        with keys.open_key(name, passphrase, now=now) as authority, transaction(engine) as session:
            publish_list(session, name, authority, now)
    responders = Responders(keys, SecretStr(passphrase))
    for name in issuing:
        presign_answers(engine, name, responders, now)
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


def _is_due(session: Session, name: str, now: datetime) -> bool:
    newest = newest_list(session, name)
    if newest is None or now - newest.this_update >= LIST_REFRESHED:
        return True
    # Lists hold whole seconds, and what was revoked is compared as they hold it.
    wanted = {(each.serial_number, each.reason) for each in revocations_of(session, name)}
    return wanted != {(each.serial_number, each.reason) for each in read_revocations(newest.der)[1]}
