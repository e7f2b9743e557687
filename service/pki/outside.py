"""What is known about time-stamping authorities of other houses: their certificates and revocation lists.

Verification never fetches. A job does, every hour: it asks each authority for a time stamp, follows its
certificate up to the root that we were given, and keeps the lists that the certificates name.
"""

import hashlib
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise

import httpx2
import structlog
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from sqlalchemy import Engine
from sqlmodel import Session, col, select

from keys.errors import KeysError
from keys.profiles import find_extension
from keys.timestamp_client import token_certificates
from service.config import LOCAL_TSA, TsaAddress
from service.database import reading, transaction
from service.pki.models import OutsideCertificate, RevocationList
from service.pki.register import current_lists
from service.pki.tsa import OutsideTsa, failure_of, open_client, read_body, request_token
from signing.errors import SigningError, TimestampUnavailable
from signing.policy import proves_until
from signing.time_stamps import verify_time_stamp
from signing.trust import is_self_issued

REFRESH_JOB = "refresh_outside_lists"
LARGEST_LIST = 512 * 1024
"""Bytes. Every list goes into each document that the authority stamps."""
ANSWERED_LATELY = timedelta(hours=3)
LONGEST_CHAIN = 8

log = structlog.get_logger()


def refresh_outside_lists(engine: Engine, tsas: Sequence[OutsideTsa], now: datetime) -> int:
    """Ask every authority, record the certificate it stamps with, and fetch the lists that judge it.

    Lists of past certificates go on being fetched until they end: documents rest on them. What fails is told
    in the log and tried again at the next run. Returns how many authorities gave a usable time stamp.
    """
    usable = 0
    with open_client() as client:
        for tsa in tsas:
            try:
                _check_authority(engine, client, tsa, now)
                usable += 1
            except (KeysError, SigningError, httpx2.HTTPError) as error:
                log.warning("tsa_failed", tsa=tsa.name, failure=failure_of(error))
        with reading(engine) as session:
            past = session.exec(
                select(OutsideCertificate).where(
                    col(OutsideCertificate.not_after) > now, col(OutsideCertificate.answered_at) < now
                )
            ).all()
        for row in past:
            _fetch_lists(engine, client, row.tsa, x509.load_pem_x509_certificates(row.chain), now)
    return usable


def _check_authority(engine: Engine, client: httpx2.Client, tsa: OutsideTsa, now: datetime) -> None:
    digest = secrets.token_bytes(32)
    token = request_token(client, tsa, digest, now)
    certificate, *between = token_certificates(token)
    chain = _chain_of(certificate, [*between, *tsa.certificates])
    if chain[-1] not in tsa.certificates:
        raise TimestampUnavailable("The authority's certificate does not lead to a root that we were given.")
    _fetch_lists(engine, client, tsa.name, chain, now)
    with reading(engine) as session:
        crls = current_lists(session)
    verify_time_stamp(token, digest, tsa.certificates, crls=crls, at=now)
    with transaction(engine) as session:
        session.merge(
            OutsideCertificate(
                fingerprint=hashlib.sha256(certificate.public_bytes(Encoding.DER)).hexdigest(),
                tsa=tsa.name,
                subject=_common_name(certificate),
                not_before=certificate.not_valid_before_utc,
                not_after=proves_until(certificate),
                chain=b"".join(each.public_bytes(Encoding.PEM) for each in chain),
                answered_at=now,
            )
        )


def _chain_of(certificate: x509.Certificate, others: Sequence[x509.Certificate]) -> list[x509.Certificate]:
    """Order the certificates from the authority's up to its root, as far as they go."""
    chain = [certificate]
    while not is_self_issued(chain[-1]) and len(chain) < LONGEST_CHAIN:
        issuer = next((each for each in others if _issued(each, chain[-1])), None)
        if issuer is None:
            break
        chain.append(issuer)
    return chain


def _issued(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _common_name(certificate: x509.Certificate) -> str:
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value)[:64] if names else certificate.subject.rfc4514_string()[:64]


def _fetch_lists(
    engine: Engine, client: httpx2.Client, tsa: str, chain: Sequence[x509.Certificate], now: datetime
) -> None:
    """Fetch the list that each certificate below the root names; what fails leaves the older list."""
    for certificate, issuer in pairwise(chain):
        try:
            crl = _fetch_list(client, certificate, issuer, now)
        except (SigningError, httpx2.HTTPError, ValueError) as error:
            log.warning("tsa_list_failed", tsa=tsa, failure=failure_of(error))
        else:
            with transaction(engine) as session:
                _keep_list(session, tsa, issuer, crl)


def _fetch_list(
    client: httpx2.Client, certificate: x509.Certificate, issuer: x509.Certificate, now: datetime
) -> x509.CertificateRevocationList:
    """Fetch one list and check that its issuer signed it and that it speaks now (RFC 5280 §6.3.3)."""
    for url in _list_addresses(certificate):
        body = read_body(client, client.build_request("GET", url), "", LARGEST_LIST)
        crl = x509.load_der_x509_crl(body)
        fresh = crl.next_update_utc is not None and crl.last_update_utc <= now < crl.next_update_utc
        if crl.issuer == issuer.subject and fresh and crl.is_signature_valid(issuer.public_key()):  # type: ignore[arg-type]
            return crl
    raise TimestampUnavailable("The authority's certificate names no revocation list that speaks now.")


def _list_addresses(certificate: x509.Certificate) -> list[str]:
    points = find_extension(certificate, x509.CRLDistributionPoints)
    names = (str(name.value) for point in points or () for name in point.full_name or ())
    return [name for name in names if name.startswith(("http://", "https://"))]


def _keep_list(
    session: Session, tsa: str, issuer: x509.Certificate, crl: x509.CertificateRevocationList
) -> None:
    """Keep the newest list of another house's issuer; an older one never takes its place."""
    fingerprint = hashlib.sha256(issuer.public_bytes(Encoding.DER)).hexdigest()
    name = f"{tsa[:40]}:{fingerprint[:16]}"
    known = session.get(RevocationList, (name, 0))
    if known is not None and known.this_update > crl.last_update_utc:
        return
    assert crl.next_update_utc is not None
    session.merge(
        RevocationList(
            issuer=name,
            number=0,
            this_update=crl.last_update_utc,
            next_update=crl.next_update_utc,
            der=crl.public_bytes(Encoding.DER),
        )
    )


def newest_outside(session: Session, tsa: str) -> OutsideCertificate | None:
    """Return the certificate with which an authority of another house stamped last."""
    statement = select(OutsideCertificate).where(OutsideCertificate.tsa == tsa)
    return session.exec(statement.order_by(col(OutsideCertificate.answered_at).desc()).limit(1)).first()


def stamps_until(
    session: Session, addresses: Sequence[TsaAddress], own_end: datetime, now: datetime
) -> datetime:
    """Return until when a time stamp of now will hold, by the first authority that answered lately.

    `own_end` is the end of our own authority's certificate.
    """
    for each in addresses:
        if each == LOCAL_TSA:
            return own_end
        row = newest_outside(session, each.name)
        if row is not None and now - row.answered_at < ANSWERED_LATELY:
            return row.not_after
    return own_end
