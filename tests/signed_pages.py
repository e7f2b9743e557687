"""One page, signed and archived by the throwaway hierarchy: the documents of the tests that judge."""

import hashlib
import io
from collections.abc import Sequence
from datetime import datetime, timedelta

from cryptography import x509
from pki import NOW, Pki, throwaway_pki
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign.fields import SigSeedSubFilter
from pyhanko.sign.signers import cms_embedder
from pyhanko.sign.signers.pdf_byterange import SignatureObject
from reportlab.pdfgen.canvas import Canvas

from keys.cms import DATA, sign_content
from keys.revocation import Revocation, build_crl
from keys.store import OpenKey
from keys.timestamp import local_timestamper
from signing.extend import add_archive_timestamp, extend_to_lt
from signing.sign import sign_document

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def one_page() -> bytes:
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pageCompression=0)
    canvas.drawString(72, 720, "SURAT IZIN 503/1")
    canvas.save()
    return buffer.getvalue()


def sign_page(signer: OpenKey, tsa: OpenKey | None = None, moment: datetime = NOW) -> bytes:
    """Sign the page, with a time stamp of the same moment if there is an authority: B-T, else B-B."""
    timestamper = local_timestamper(tsa, lambda: moment) if tsa else None
    return sign_document(one_page(), signer, signed_at=moment, timestamper=timestamper)


def lists(
    moment: datetime, *revocations: Revocation, pki: Pki | None = None, valid: timedelta = DAY
) -> list[bytes]:
    """Give the CRLs of the issuing authority, with the revocations, and of the root."""
    pki = pki or throwaway_pki()
    return [
        build_crl(
            issuer, revoked, number=1, this_update=moment - timedelta(minutes=1), next_update=moment + valid
        )
        for issuer, revoked in ((pki.issuing, revocations), (pki.root, ()))
    ]


def chain(*keys: OpenKey) -> list[x509.Certificate]:
    return [key.certificate for key in keys]


def extend_page(pdf: bytes, crls: Sequence[bytes] | None = None, pki: Pki | None = None) -> bytes:
    """Add validation data of the moment of signing: B-LT."""
    pki = pki or throwaway_pki()
    certificates = chain(pki.official, pki.tsa, pki.issuing)
    return extend_to_lt(pdf, certificates=certificates, crls=lists(NOW, pki=pki) if crls is None else crls)


def archive_page(pdf: bytes, tsa: OpenKey, moment: datetime = NOW + HOUR) -> bytes:
    """Add an archive time stamp over a B-LT page: B-LTA."""
    return add_archive_timestamp(pdf, timestamper=local_timestamper(tsa, lambda: moment))


def sign_again(pdf: bytes, key: OpenKey, field_name: str, moment: datetime = NOW) -> bytes:
    """Add another approval signature as any signing programme would, whatever is certified already."""
    output = io.BytesIO(pdf)
    steps = cms_embedder.PdfCMSEmbedder().write_cms(field_name, IncrementalPdfFileWriter(output))
    next(steps)
    placeholder = SignatureObject(moment, SigSeedSubFilter.PADES, bytes_reserved=8192)
    steps.send(cms_embedder.SigObjSetup(sig_placeholder=placeholder))
    prepared, _ = steps.send(cms_embedder.SigIOSetup(md_algorithm="sha256", in_place=True))
    certificates = [key.certificate, *key.chain]
    steps.send(sign_content(key, DATA, prepared.document_digest, certificates=certificates))
    return output.getvalue()


def digest_around_container(pdf: bytes) -> bytes:
    """Return the SHA-256 of all that the first signature of a page is over."""
    start, end = _room(pdf)
    return hashlib.sha256(pdf[: start - 1] + pdf[end + 1 :]).digest()


def replace_container(pdf: bytes, container: bytes) -> bytes:
    """Put another container into the room of the first signature of a page."""
    start, end = _room(pdf)
    return pdf[:start] + container.hex().upper().ljust(end - start, "0").encode() + pdf[end:]


def _room(pdf: bytes) -> tuple[int, int]:
    start = pdf.index(b"/Contents <") + len(b"/Contents <")
    return start, pdf.index(b">", start)


def turn_page(pdf: bytes) -> bytes:
    """Append an update that turns the page: what no certification permits."""
    writer = IncrementalPdfFileWriter(io.BytesIO(pdf))
    page = writer.root["/Pages"]["/Kids"][0]
    page["/Rotate"] = generic.NumberObject(90)
    writer.update_container(page)
    output = io.BytesIO()
    writer.write(output)
    return output.getvalue()
