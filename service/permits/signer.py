"""Opening signers: the only door from the application to private keys.

An official's passphrase is typed for one act. It is an argument here and nowhere else: never a
setting, a row, a job, a log line or an exception's text.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from keys import csc, store
from keys.errors import KeyNotFound
from keys.hierarchy import latest, load_trust_anchors
from keys.outside import longest, open_client
from keys.software import SoftwareKeyStore
from keys.store import BareKey, OpenKey
from keys.timestamp import Timestamper, local_timestamper
from service.accounts.models import BSRE, CSC, OUTSIDE_SERVICES, User
from service.accounts.sealing import outside_context, unseal
from service.config import Settings, parse_wrapping_keys
from service.errors import Conflict, ServiceError
from service.permits.models import HERE
from service.pki.outside_trust import read_outside_trust, require_usable
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
    """The service's own keys, opened once at start: the time-stamping authority and the log."""

    timestamper: Timestamper
    """From a SHA-256 digest to an RFC 3161 token."""
    tsa: OpenKey
    log: BareKey


def open_signer(keys_folder: Path, official: User, passphrase: str, now: datetime) -> OpenKey:
    """Open an official's key for one act.

    Raises NoSigningKey when the account has none, and what the key store raises: WrongPassphrase,
    KeyLocked, KeyNotFound.
    """
    if not official.key_name:
        raise NoSigningKey
    return SoftwareKeyStore(keys_folder).open_key(official.key_name, passphrase, now=now)


def service_of(official: User) -> str:
    """Return where an official's documents are signed: `here`, `bsre` or `csc`."""
    return official.key_name if official.key_name in OUTSIDE_SERVICES else HERE


@contextmanager
def signing_as(
    official: User, passphrase: str, *, settings: Settings, now: datetime
) -> Iterator[DocumentSigner]:
    """Open whatever an official signs with, for one act, and close it.

    A service outside is asked whether it lets the official sign; the passphrase is not tried before that.
    Raises what `open_signer` raises, NoOutsideIdentity, OutsideTrustUnusable, and the errors of another
    house (`keys.errors`): SignerNotReady, OutsideUnreachable, OutsideBusy and their kin.
    """
    service = service_of(official)
    if service == HERE:
        yield open_signer(settings.effective_keys_folder, official, passphrase, now)
        return
    url = {BSRE: settings.bsre_url, CSC: settings.csc_url}[service]
    if not url or official.outside_identity is None:
        raise NoOutsideIdentity
    wrapping_keys = parse_wrapping_keys(settings.wrapping_keys.get_secret_value())
    identity = unseal(official.outside_identity, wrapping_keys, outside_context(official.id))
    require_usable(read_outside_trust(settings.outside_anchors), now)
    open_there = _open_bsre if service == BSRE else _open_csc
    with open_there(official, identity, passphrase, settings, now) as signer:
        yield signer


@contextmanager
def _open_bsre(
    official: User, identity: str, passphrase: str, settings: Settings, _now: datetime
) -> Iterator[OutsideSigner]:
    auth = (settings.bsre_user, settings.bsre_password.get_secret_value())
    with open_client(settings.bsre_url, seconds=settings.bsre_seconds, auth=auth) as client:
        bsre.require_ready(client, identity)

        def sign(pdf: bytes, act: Act) -> bytes:
            return bsre.sign_pdf(
                client,
                pdf,
                identity=identity,
                passphrase=passphrase,
                reason=act.reason,
                location=act.location,
            )

        trust = read_outside_trust(settings.outside_anchors)
        yield OutsideSigner(
            service=BSRE,
            holder=official.certificate_name or official.full_name,
            issuer=bsre.ISSUER,
            sign=sign,
            trust_anchors=trust.anchors,
            time_anchors=(),
            crls=trust.crls,
            patience=longest(settings.bsre_seconds),
            brings_field=True,
        )


@contextmanager
def _open_csc(
    official: User, identity: str, passphrase: str, settings: Settings, now: datetime
) -> Iterator[OutsideSigner]:
    with open_client(settings.csc_url, seconds=settings.csc_seconds) as client:
        csc.authenticate(client, settings.csc_client_id, settings.csc_client_secret.get_secret_value())
        credential = csc.read_credential(client, identity)
        require_document_signer(credential.certificate, now)
        key = csc.open_credential(client, credential, passphrase)
        keys = SoftwareKeyStore(settings.effective_keys_folder)
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

        trust = read_outside_trust(settings.outside_anchors)
        yield OutsideSigner(
            service=CSC,
            holder=official.certificate_name or official.full_name,
            issuer=settings.csc_issuer,
            sign=sign,
            trust_anchors=trust.anchors,
            time_anchors=(*load_trust_anchors(keys.folder), *time_anchors(keys.folder)),
            crls=trust.crls,
            # A provider is asked twice: for the authorisation, and for the signature.
            patience=2 * longest(settings.csc_seconds),
            brings_field=False,
        )


def open_operations_keys(keys_folder: Path, passphrase: str, now: Callable[[], datetime]) -> OperationsKeys:
    """Open the service's own keys. Raises WrongPassphrase, KeyLocked or KeyNotFound."""
    keys = SoftwareKeyStore(keys_folder)
    if store.TSA not in keys.names():
        raise KeyNotFound("The key store holds no time-stamping authority; run `canting keys init`.")
    tsa = keys.open_key(latest(keys, store.TSA), passphrase, now=now())
    log = keys.open_bare_key(store.LOG, passphrase, now=now())
    return OperationsKeys(local_timestamper(tsa, now), tsa, log)
