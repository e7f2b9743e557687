"""Writes a validation report as XML after ETSI TS 119 102-2 (V1.2.1 of its schema), signed by nobody.

Names and order of the elements are those of the schema, §4 of the standard says what they mean. Certificates
are embedded; lists, OCSP responses and time stamps, which the document has or the authorities publish, are
named by their digest.
"""

import base64
import re
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from signing.details import CertificateFound, Check, SignatureDetails, TimeStampFound
from signing.policy import StatedPolicy
from signing.validate import Indication, SignatureReport, ValidationReport

_VR = "http://uri.etsi.org/19102/v1.2.1#"
_DS = "http://www.w3.org/2000/09/xmldsig#"
_XADES = "http://uri.etsi.org/01903/v1.3.2#"
_URN = "urn:etsi:019102"
_SHA256 = "http://www.w3.org/2001/04/xmlenc#sha256"
_DIGEST_URIS = {
    "sha224": "http://www.w3.org/2001/04/xmldsig-more#sha224",
    "sha256": _SHA256,
    "sha384": "http://www.w3.org/2001/04/xmldsig-more#sha384",
    "sha512": "http://www.w3.org/2001/04/xmlenc#sha512",
    "sha3_256": "http://www.w3.org/2007/05/xmldsig-more#sha3-256",
    "sha3_384": "http://www.w3.org/2007/05/xmldsig-more#sha3-384",
    "sha3_512": "http://www.w3.org/2007/05/xmldsig-more#sha3-512",
}
_PROCESSES = {"basic": "Basic", "with_time": "LTVM", "archived": "LTA"}
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 §2.2 has no place for, and a stranger's certificate may."""


for _prefix, _uri in (("", _VR), ("ds", _DS), ("XAdES", _XADES)):
    ElementTree.register_namespace(_prefix, _uri)


def write_report(
    report: ValidationReport, policy: StatedPolicy, *, document_sha256: str, at: datetime
) -> str:
    """Write a detailed report of a document judged `at` a time.

    A document without a signature, which the schema does not foresee, gets one report without an identifier:
    INDETERMINATE, for any other reason (EN 319 102-1 §5.1.3).
    """
    objects: dict[str, Element] = {"document": _object("document", "signedData", document_sha256)}
    written = [_signature(each, policy, at, objects) for each in report.signatures]
    if not written:
        process = _process("basic")
        written = [_vr("SignatureValidationReport", _times(at, at), process, _status(report))]
    root = _vr("ValidationReport", *written, _vr("SignatureValidationObjects", *objects.values()))
    ElementTree.indent(root)
    xml: bytes = ElementTree.tostring(root, encoding="UTF-8", xml_declaration=True)
    return xml.decode()


def _signature(
    found: SignatureReport, policy: StatedPolicy, at: datetime, objects: dict[str, Element]
) -> Element:
    details = found.details
    if details is None:
        return _vr("SignatureValidationReport", _times(at, at), _process("basic"), _status(found))
    for stamp in details.time_stamps:
        objects.setdefault(_name("ts", stamp.sha256), _time_stamp(stamp, objects))
    return _vr(
        "SignatureValidationReport",
        _identifier(details),
        _constraints(details.checks, policy),
        _times(at, found.timestamped_at or at, details.time_stamps),
        _vr(
            "SignersDocument",
            _digest("DigestAlgAndValue", details.digest_algorithm, details.document_digest),
            _refer("SignersDocumentRepresentation", "document"),
        ),
        _attributes(found, details),
        *_signer(found, details.certificates),
        _process(details.process),
        _status(found, _report_data(details.certificates, objects)),
    )


def _identifier(details: SignatureDetails) -> Element:
    return _vr(
        "SignatureIdentifier",
        _digest("DigestAlgAndValue", "sha256", details.attributes_digest),
        _element(_DS, "SignatureValue", text=_base64(details.signature_value)),
        _vr("HashOnly", text="false"),
        _vr("DocHashOnly", text="false"),
    )


def _constraints(checks: Sequence[Check], policy: StatedPolicy) -> Element:
    """Name the policy with its digest, and each check as a constraint (§4.2.5)."""
    name = _element(_XADES, "Identifier", text=f"urn:canting:policy:{policy.name}:{policy.version}")
    identifier = _element(_XADES, "SigPolicyId", name)
    digest = _digest("SigPolicyHash", "sha256", bytes.fromhex(policy.sha256), namespace=_XADES)
    named = _vr("SignaturePolicyIdentifier", _element(_XADES, "SignaturePolicyId", identifier, digest))
    return _vr(
        "ValidationConstraintsEvaluationReport",
        _vr("SignatureValidationPolicy", named, _vr("PolicyName", text=f"{policy.name} {policy.version}")),
        *(_constraint(each) for each in checks),
    )


def _constraint(check: Check) -> Element:
    applied = "disabled" if check.passed is None else "applied"
    parts = [
        _vr("ValidationConstraintIdentifier", text=f"urn:canting:check:{check.name}"),
        _vr("ConstraintStatus", _vr("Status", text=f"{_URN}:constraintStatus:{applied}")),
    ]
    if check.passed is not None:
        outcome = "passed" if check.passed else "failed"
        parts.append(_vr("ValidationStatus", _vr("MainIndication", text=f"{_URN}:mainindication:{outcome}")))
    return _vr("ValidationConstraint", *parts)


def _times(at: datetime, proven_at: datetime, stamps: Sequence[TimeStampFound] = ()) -> Element:
    """Tell when it was judged, and the best signature time with the time stamp that proves it (§4.2.6)."""
    proof = [stamp for stamp in stamps if stamp.stamped_at == proven_at and stamp.passed]
    return _vr(
        "ValidationTimeInfo",
        _vr("ValidationTime", text=_time(at)),
        _vr(
            "BestSignatureTime",
            _vr("POETime", text=_time(proven_at)),
            _vr("TypeOfProof", text=f"{_URN}:poetype:validation"),
            *(_refer("POEObject", _name("ts", stamp.sha256)) for stamp in proof[:1]),
        ),
    )


def _attributes(found: SignatureReport, details: SignatureDetails) -> Element:
    attributes = []
    if found.signed_at:
        attributes.append(_vr("SigningTime", _vr("Time", text=_time(found.signed_at)), Signed="true"))
    stamps = {
        kind: [
            _vr(
                name,
                _refer("AttributeObject", _name("ts", stamp.sha256)),
                _vr("TimeStampValue", text=_time(stamp.stamped_at)),
                Signed="false",
            )
            for stamp in details.time_stamps
            if stamp.kind == kind
        ]
        for kind, name in (("signature", "SignatureTimeStamp"), ("archive", "DocTimeStamp"))
    }
    digest = _vr("MessageDigest", _vr("Digest", text=_base64(details.document_digest)), Signed="true")
    return _vr("SignatureAttributes", *attributes, *stamps["signature"], digest, *stamps["archive"])


def _signer(found: SignatureReport, certificates: Sequence[CertificateFound]) -> Iterable[Element]:
    if certificates:
        name = [_vr("Signer", text=found.signer)] if found.signer else []
        certificate = _refer("SignerCertificate", _name("cert", certificates[0].sha256))
        yield _vr("SignerInformation", certificate, *name)


def _process(name: str) -> Element:
    identifier = f"{_URN}:validationprocess:{_PROCESSES[name]}"
    return _vr("SignatureValidationProcess", _vr("SignatureValidationProcessID", text=identifier))


def _status(found: SignatureReport | ValidationReport, *data: Element) -> Element:
    name = found.indication.lower()
    parts = [_vr("MainIndication", text=f"{_URN}:mainindication:{name}")]
    if found.indication is not Indication.TOTAL_PASSED:
        parts.append(_vr("SubIndication", text=f"{_URN}:subindication:{found.sub_indication or 'GENERIC'}"))
    return _vr("SignatureValidationStatus", *parts, *data)


def _report_data(certificates: Sequence[CertificateFound], objects: dict[str, Element]) -> Element:
    """Tell the chain, who of it was revoked, and how strong its algorithms are (§4.2.11)."""
    for each in certificates:
        objects.setdefault(_name("cert", each.sha256), _certificate(each))
        told = each.revocation
        if told and told.sha256 and told.source:
            kind = {"crl": "CRL", "ocsp": "OCSPResponse"}[told.source]
            name = _name("rev", told.sha256)
            objects.setdefault(name, _object(name, kind, told.sha256))
    chain = []
    if certificates:
        signer, *others = certificates
        between = [each for each in others if not each.is_trust_anchor]
        anchor = [each for each in others if each.is_trust_anchor]
        chain = [
            _vr(
                "CertificateChain",
                _refer("SigningCertificate", _name("cert", signer.sha256)),
                *(_refer("IntermediateCertificate", _name("cert", each.sha256)) for each in between),
                *(_refer("TrustAnchor", _name("cert", each.sha256)) for each in anchor),
            )
        ]
    return _vr(
        "AssociatedValidationReportData",
        *chain,
        *(_revoked(each) for each in certificates if each.revocation and each.revocation.revoked_at),
        *(_strength(each) for each in _weakest(certificates)),
    )


def _revoked(found: CertificateFound) -> Element:
    told = found.revocation
    assert told is not None
    assert told.revoked_at is not None
    return _vr(
        "RevocationStatusInformation",
        _refer("ValidationObjectId", _name("cert", found.sha256)),
        _vr("RevocationTime", text=_time(told.revoked_at)),
        *([_refer("RevocationObject", _name("rev", told.sha256))] if told.sha256 else []),
    )


def _weakest(certificates: Sequence[CertificateFound]) -> list[CertificateFound]:
    """Pick the certificate whose algorithm is not accepted, else ends first: the schema has room for one."""
    judged = [each for each in certificates if each.accepted is not None]
    return sorted(judged, key=lambda each: (bool(each.accepted), each.accepted_until or date.max))[:1]


def _strength(found: CertificateFound) -> Element:
    end = found.accepted_until
    return _vr(
        "CryptoInformation",
        _refer("ValidationObjectId", _name("cert", found.sha256)),
        _vr("Algorithm", text=f"urn:canting:algorithm:{found.algorithm.replace(' ', ':')}"),
        _vr("SecureAlgorithm", text="true" if found.accepted else "false"),
        *([_vr("NotAfter", text=f"{end.isoformat()}T23:59:59Z")] if end else []),
    )


def _certificate(found: CertificateFound) -> Element:
    name = _name("cert", found.sha256)
    return _object_of(name, "certificate", _vr("base64", text=_base64(found.der)))


def _time_stamp(stamp: TimeStampFound, objects: dict[str, Element]) -> Element:
    """A time stamp is a validation object with a report of its own (§4.4.8)."""
    name = _name("ts", stamp.sha256)
    if stamp.passed is None:
        return _object(name, "timestamp", stamp.sha256)
    main = "passed" if stamp.passed else "indeterminate"
    parts = [_vr("MainIndication", text=f"{_URN}:mainindication:{main}")]
    if stamp.sub_indication:
        parts.append(_vr("SubIndication", text=f"{_URN}:subindication:{stamp.sub_indication}"))
    status = _vr("SignatureValidationStatus", *parts, _report_data(stamp.certificates, objects))
    return _object(name, "timestamp", stamp.sha256, _vr("ValidationReport", status))


def _object(name: str, kind: str, sha256: str, *others: Element) -> Element:
    digest = _digest("DigestAlgAndValue", "sha256", bytes.fromhex(sha256))
    return _object_of(name, kind, digest, *others)


def _object_of(name: str, kind: str, representation: Element, *others: Element) -> Element:
    return _vr(
        "ValidationObject",
        _vr("ObjectType", text=f"{_URN}:validationObject:{kind}"),
        _vr("ValidationObjectRepresentation", representation),
        *others,
        id=name,
    )


def _digest(name: str, algorithm: str, value: bytes, *, namespace: str = _VR) -> Element:
    uri = _DIGEST_URIS.get(algorithm, f"urn:canting:digest:{algorithm}")
    method = _element(_DS, "DigestMethod", Algorithm=uri)
    return _element(namespace, name, method, _element(_DS, "DigestValue", text=_base64(value)))


def _refer(name: str, target: str) -> Element:
    return _vr(name, VOReference=target)


def _name(kind: str, sha256: str) -> str:
    return f"{kind}-{sha256}"


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _time(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def _vr(name: str, *children: Element, text: str | None = None, **attributes: str) -> Element:
    return _element(_VR, name, *children, text=text, **attributes)


def _element(
    namespace: str, name: str, *children: Element, text: str | None = None, **attributes: str
) -> Element:
    element = Element(f"{{{namespace}}}{name}", attributes)
    element.text = _NOT_XML.sub("\ufffd", text) if text else None
    element.extend(children)
    return element
