"""A CMS SignedData with one signer (RFC 5652 §5), as CAdES and time-stamp tokens share it."""

import hashlib
from collections.abc import Callable, Sequence

from asn1crypto import cms, core, tsp
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from keys.store import OpenKey, signature_algorithm


def sign_content(
    key: OpenKey,
    content_type: str,
    content_digest: bytes,
    *,
    content: bytes | None = None,
    certificates: Sequence[x509.Certificate] = (),
    unsigned_attributes: Callable[[bytes], list[cms.CMSAttribute]] | None = None,
) -> bytes:
    """Return the DER of a ContentInfo with SignedData over `content_digest` (32 bytes, SHA-256).

    The signed attributes are content-type, message-digest and signing-certificate-v2 (RFC 5035 §5.4.1).
    `content` is left out of a detached signature. `unsigned_attributes` is called with the signature's
    value. Raises AlgorithmNotSupported.
    """
    signer = key.certificate.public_bytes(Encoding.DER)
    signed = cms.CMSAttributes(
        [
            attribute("content_type", content_type),
            attribute("message_digest", content_digest),
            # SHA-256 is the default hash of ESSCertIDv2, and DER leaves defaults out.
            attribute(
                "signing_certificate_v2",
                tsp.SigningCertificateV2({"certs": [{"cert_hash": hashlib.sha256(signer).digest()}]}),
            ),
        ]
    )
    signature = key.sign(signed.dump())
    signer_info = {
        "version": "v1",
        "sid": cms.SignerIdentifier(
            {
                "issuer_and_serial_number": {
                    "issuer": asn1_x509.Name.load(key.certificate.issuer.public_bytes()),
                    "serial_number": key.certificate.serial_number,
                }
            }
        ),
        "digest_algorithm": {"algorithm": "sha256"},
        "signed_attrs": signed,
        "signature_algorithm": {"algorithm": signature_algorithm(key.certificate.public_key())},
        "signature": signature,
    }
    if unsigned_attributes:
        signer_info["unsigned_attrs"] = cms.CMSAttributes(unsigned_attributes(signature))
    encapsulated: dict[str, object] = {"content_type": content_type}
    if content is not None:
        encapsulated["content"] = core.ParsableOctetString(content)
    signed_data: dict[str, object] = {
        # RFC 5652 §5.1: version 3 as soon as the content is anything but plain data.
        "version": "v1" if content_type == "data" else "v3",
        "digest_algorithms": [{"algorithm": "sha256"}],
        "encap_content_info": encapsulated,
        "signer_infos": [signer_info],
    }
    if certificates:
        signed_data["certificates"] = [
            asn1_x509.Certificate.load(certificate.public_bytes(Encoding.DER)) for certificate in certificates
        ]
    information = cms.ContentInfo({"content_type": "signed_data", "content": cms.SignedData(signed_data)})
    der: bytes = information.dump()
    return der


def attribute(name: str, value: object) -> cms.CMSAttribute:
    """Return a CMS attribute with one value."""
    return cms.CMSAttribute({"type": name, "values": [value]})
