"""Plain pyHanko, used as its documentation shows: SimpleSigner and PdfSigner, without a time stamp.

With one of our time stamps, asn1crypto takes any structure whose length ends in 0x80 for one of indefinite
length, and encodes it anew at a cost that doubles for every level: half a minute for one signature in
three. No ratio to that would say anything, so the peer is spared the time stamp.
"""

import io
from collections.abc import Sequence

from asn1crypto import keys as asn1_keys
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign import PdfSignatureMetadata, PdfSigner, SimpleSigner
from pyhanko.sign.fields import MDPPerm, SigSeedSubFilter
from pyhanko.sign.validation import validate_pdf_signature
from pyhanko_certvalidator import ValidationContext
from pyhanko_certvalidator.registry import SimpleCertificateStore

from keys.algorithms import PrivateKey
from keys.store import OpenKey


def plain_signer(key: OpenKey, private_key: PrivateKey) -> PdfSigner:
    """Make a PdfSigner that certifies a document at level B-B with the same key and chain as ours."""
    registry = SimpleCertificateStore()
    registry.register_multiple([_as_asn1(each) for each in key.chain[:-1]])
    der = private_key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    signer = SimpleSigner(
        signing_cert=_as_asn1(key.certificate),
        signing_key=asn1_keys.PrivateKeyInfo.load(der),
        cert_registry=registry,
    )
    metadata = PdfSignatureMetadata(
        field_name="Peer",
        md_algorithm="sha256",
        subfilter=SigSeedSubFilter.PADES,
        certify=True,
        docmdp_permissions=MDPPerm.NO_CHANGES,
    )
    return PdfSigner(metadata, signer=signer)


def sign_plainly(signer: PdfSigner, pdf: bytes) -> bytes:
    """Sign a document as pyHanko's documentation shows."""
    out = io.BytesIO()
    signer.sign_pdf(IncrementalPdfFileWriter(io.BytesIO(pdf)), output=out)
    return out.getvalue()


def validate_plainly(pdf: bytes, chain: Sequence[x509.Certificate]) -> bool:
    """Validate a document's first signature as pyHanko's documentation shows; the chain ends in the root.

    A time stamp's chain must be given: pyHanko looks for it in the token alone, not in the signature.
    """
    *issuers, root = [_as_asn1(each) for each in chain]
    context = ValidationContext(trust_roots=[root], other_certs=issuers, allow_fetching=False)
    reader = PdfFileReader(io.BytesIO(pdf))
    return bool(validate_pdf_signature(reader.embedded_signatures[0], context, context).bottom_line)


def _as_asn1(certificate: x509.Certificate) -> asn1_x509.Certificate:
    return asn1_x509.Certificate.load(certificate.public_bytes(Encoding.DER))
