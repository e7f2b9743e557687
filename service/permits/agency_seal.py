"""The agency's seal on content that is no PDF, with the proof of its time."""

import hashlib
from dataclasses import dataclass
from datetime import datetime

from keys.timestamp import local_timestamper
from service.permits.signer import OperationsKeys
from signing.detached import sign_detached
from signing.sign import time_stamp_token


@dataclass(frozen=True, slots=True)
class Sealed:
    """The agency's seal on some content, and the proof of its time, both DER."""

    signature: bytes
    """A detached CMS message (RFC 5652) with the seal's certificate and its issuers."""
    time_stamp: bytes
    """A TimeStampToken (RFC 3161) over the signature."""


def seal_content(keys: OperationsKeys, content: bytes, now: datetime) -> Sealed:
    """Seal content, and have the service's own authority stamp the seal.

    The stamp lies beside the seal, where common tools find it, and not within.
    Raises SignerCertificateNotValid when the seal's certificate is not valid `now`, TimestampUnavailable.
    """
    signature = sign_detached(content, keys.seal, signed_at=now, timestamper=None)
    stamper = local_timestamper(keys.tsa, lambda: now)
    return Sealed(signature, time_stamp_token(hashlib.sha256(signature).digest(), stamper))
