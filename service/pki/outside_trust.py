"""What is known of certification authorities of other houses: a folder that the operator keeps.

`*.pem` are the trust anchors of signers outside, `*.crl` (DER) the newest revocation lists of their
authorities. Both are public, and read anew each time, so that a list fetched by a timer counts at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from sqlmodel import Session

from service.errors import Unavailable
from service.pki.register import current_lists


class OutsideTrustUnusable(Unavailable):
    code = "outside_trust_unusable"
    message_id = (
        "Sertifikat induk atau daftar pencabutan layanan tanda tangan tidak lengkap atau sudah lewat waktu. "
        "Tidak ada yang ditandatangani. Hubungi administrator."
    )
    message_en = (
        "The signing service's trust anchors or revocation lists are missing or out of date. Nothing was "
        "signed. Ask the administrator."
    )


@dataclass(frozen=True, slots=True)
class OutsideTrust:
    """Trust anchors, and revocation lists (DER), of other houses."""

    anchors: tuple[x509.Certificate, ...] = ()
    crls: tuple[bytes, ...] = ()


def read_outside_trust(folder: Path | None) -> OutsideTrust:
    """Read the folder; no folder holds nothing. Raises ValueError for what is no certificate."""
    if folder is None:
        return OutsideTrust()
    anchors = (x509.load_pem_x509_certificates(path.read_bytes()) for path in sorted(folder.glob("*.pem")))
    crls = (path.read_bytes() for path in sorted(folder.glob("*.crl")))
    return OutsideTrust(tuple(each for group in anchors for each in group), tuple(crls))


def require_usable(trust: OutsideTrust, now: datetime) -> None:
    """Raise OutsideTrustUnusable when what is signed now could not be judged afterwards."""
    ends = [x509.load_der_x509_crl(der).next_update_utc for der in trust.crls]
    if not trust.anchors or any(end is not None and end < now for end in ends):
        raise OutsideTrustUnusable


def judging_lists(session: Session, theirs: Sequence[bytes], *, archived: bool) -> list[bytes]:
    """Return the revocation lists to judge another house's document by.

    Without lists of theirs, ours would speak against certificates they know nothing of. Under an archive
    time stamp of ours the document brings theirs itself.
    """
    return [*current_lists(session), *theirs] if theirs or archived else []
