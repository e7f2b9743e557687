"""Opening signers: the only door from the application to private keys.

An official's passphrase is typed for one act. It is an argument here and nowhere else: never a
setting, a row, a job, a log line or an exception's text.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import httpx2

from keys import csc, store
from keys.errors import KeyNotFound
from keys.hierarchy import latest, load_trust_anchors
from keys.outside import longest, open_client
from keys.store import BareKey, KeyStore, OpenKey
from keys.timestamp import Timestamper, local_timestamper
from service.accounts.models import BSRE, OUTSIDE_SERVICES, User
from service.accounts.sealing import outside_context, unseal
from service.config import Settings, parse_wrapping_keys
from service.errors import Conflict, ServiceError
from service.permits.models import HERE
from service.pki.outside_trust import read_outside_trust, require_usable
from service.pki.store import open_store
from service.pki.tsa import time_anchors
from signing import bsre
from signing.outside import Act, OutsideSigner
from signing.sign import require_document_signer, sign_document

__all__ = [
    "DocumentSigner",
    "NoSigningKey",
    "OpenKey",
    "OperationsKeys",
    "OutsideSigner",
    "Timestamper",
    "open_operations_keys",
    "open_signer",
    "service_of",
    "signing_as",
]

DocumentSigner = OpenKey | OutsideSigner
"""Who signs a document: a key of this service, or a service of another house."""


class NoSigningKey(ServiceError):
    status = 409
    code = "no_signing_key"
    message_id = (
        "Akun Anda belum memiliki kunci penanda tangan. Hubungi administrator untuk pendaftaran kunci."
    )
    message_en = "Your account has no signing key yet. Ask the administrator to enrol one."


class NoOutsideIdentity(Conflict):
    code = "no_outside_identity"
    message_id = (
        "Akun Anda ditandai memakai layanan tanda tangan luar, tetapi layanan atau identitas Anda di sana "
        "belum dihubungkan. Hubungi administrator."
    )
    message_en = (
        "Your account is to sign through a service outside, but the service, or who you are there, is not "
        "connected yet. Ask the administrator."
    )


@dataclass(frozen=True, slots=True)
class OperationsKeys:
    """The service's own keys, opened once at start: the time-stamping authority, the seal and the log."""

    timestamper: Timestamper
    """From a SHA-256 digest to an RFC 3161 token."""
    tsa: OpenKey
    seal: OpenKey
    """The agency's own signature, for what no person signs."""
    log: BareKey


def open_signer(keys: KeyStore, official: User, passphrase: str, now: datetime) -> OpenKey:
    """Open an official's key for one act or one batch: `with open_signer(…) as signer`, then it is closed.

    Raises NoSigningKey when the account has none, and what the key store raises: WrongPassphrase,
    KeyLocked, KeyNotFound.
    """
    if not official.key_name:
        raise NoSigningKey
    return keys.open_key(official.key_name, passphrase, now=now)


def service_of(official: User) -> str:
    """Return where an official's documents are signed: `here`, `bsre` or `csc`."""
    return official.key_name if official.key_name in OUTSIDE_SERVICES else HERE


def signing_as(official: User, passphrase: str, *, settings: Settings, now: datetime) -> DocumentSigner:
    """Open whatever an official signs with, for one act or one batch: `with signing_as(…) as signer`.

    A service outside is asked whether it lets the official sign; the passphrase is not tried before that.
    Raises what `open_signer` raises, NoOutsideIdentity, OutsideTrustUnusable, and the errors of another
    house (`keys.errors`): SignerNotReady, OutsideUnreachable, OutsideBusy and their kin.
    """
    service = service_of(official)
    if service == HERE:
        return open_signer(open_store(settings), official, passphrase, now)
    at_bsre = service == BSRE
    url = settings.bsre_url if at_bsre else settings.csc_url
    if not url or official.outside_identity is None:
        raise NoOutsideIdentity
    wrapping_keys = parse_wrapping_keys(settings.wrapping_keys.get_secret_value())
    identity = unseal(official.outside_identity, wrapping_keys, outside_context(official.id))
    trust = read_outside_trust(settings.outside_anchors)
    require_usable(trust, now)
    seconds = settings.bsre_seconds if at_bsre else settings.csc_seconds
    auth = (settings.bsre_user, settings.bsre_password.get_secret_value()) if at_bsre else None
    client = open_client(url, seconds=seconds, auth=auth)
    try:
        if at_bsre:
            sign = _sign_at_bsre(client, identity, passphrase)
        else:
            sign = _sign_at_csc(client, identity, passphrase, settings, now)
    except BaseException:
        client.close()
        raise
    folder = settings.effective_keys_folder
    return OutsideSigner(
        service=service,
        holder=official.certificate_name or official.full_name,
        issuer=bsre.ISSUER if at_bsre else settings.csc_issuer,
        sign=sign,
        close=client.close,
        trust_anchors=trust.anchors,
        time_anchors=() if at_bsre else (*load_trust_anchors(folder), *time_anchors(folder)),
        crls=trust.crls,
        # A CSC provider is asked twice: for the authorisation, and for the signature.
        patience=longest(seconds) if at_bsre else 2 * longest(seconds),
        brings_field=at_bsre,
    )


def _sign_at_bsre(client: httpx2.Client, identity: str, passphrase: str) -> Callable[[bytes, Act], bytes]:
    bsre.require_ready(client, identity)

    def sign(pdf: bytes, act: Act) -> bytes:
        return bsre.sign_pdf(
            client, pdf, identity=identity, passphrase=passphrase, reason=act.reason, location=act.location
        )

    return sign


def _sign_at_csc(
    client: httpx2.Client, identity: str, passphrase: str, settings: Settings, now: datetime
) -> Callable[[bytes, Act], bytes]:
    csc.authenticate(client, settings.csc_client_id, settings.csc_client_secret.get_secret_value())
    credential = csc.read_credential(client, identity)
    require_document_signer(credential.certificate, now)
    key = csc.open_credential(client, credential, passphrase)
    keys = open_store(settings)
    stamp_issuers = keys.certificates(latest(keys, store.TSA))[1:]

    def sign(pdf: bytes, act: Act) -> bytes:
        return sign_document(
            pdf,
            key,
            signed_at=act.signed_at,
            timestamper=act.timestamper,
            reason=act.reason,
            location=act.location,
            # Signed again the document would need another signature; the time can be proven later.
            without_time_stamp=lambda _: None,
            stamp_issuers=stamp_issuers,
        )

    return sign


def open_operations_keys(keys: KeyStore, passphrase: str, now: Callable[[], datetime]) -> OperationsKeys:
    """Open the service's own keys. Raises WrongPassphrase, KeyLocked or KeyNotFound."""
    if store.TSA not in keys.names():
        raise KeyNotFound("The key store holds no time-stamping authority; run `canting keys ceremony`.")
    tsa = keys.open_key(latest(keys, store.TSA), passphrase, now=now())
    seal = keys.open_key(latest(keys, store.SEAL), passphrase, now=now())
    log = keys.open_bare_key(store.LOG, passphrase, now=now())
    return OperationsKeys(local_timestamper(tsa, now), tsa, seal, log)
