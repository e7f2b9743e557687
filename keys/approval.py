"""Two custodians approve what an issuing CA certifies: a statement of what is done, and their signatures.

The statement is canonical JSON (as RFC 8785 writes strings and objects of strings). It names the certificate
by the SHA-256 of what its issuer signs, and therefore fits that one certificate and no other.
"""

import hashlib
import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding

from keys.algorithms import verify_signature
from keys.errors import ApprovalNotValid
from keys.lint import key_identifier
from keys.profiles import CUSTODIAN_PURPOSE
from keys.store import OpenKey

NEEDED = 2
"""Custodians who must approve."""
_CONTEXT = b"canting-approval-1\n"
"""Goes before every statement, so that a custodian's signature is never one over anything else."""

Approver = Callable[[str, x509.Certificate], "Approval"]
"""From a key's name and the certificate that is to be signed to its approval; refuses by raising."""


@dataclass(frozen=True)
class Approval:
    """A statement and, for each custodian, the DER certificate and the signature."""

    statement: str
    signatures: tuple[tuple[bytes, bytes], ...]

    @property
    def facts(self) -> dict[str, Any]:
        """What the statement says."""
        said: dict[str, Any] = json.loads(self.statement)
        return said

    def to_json(self) -> str:
        """Write the approval down."""
        signatures = [
            {"certificate": b64encode(certificate).decode(), "signature": b64encode(signature).decode()}
            for certificate, signature in self.signatures
        ]
        return json.dumps({"statement": self.statement, "signatures": signatures}, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Approval":
        """Read an approval. Raises ApprovalNotValid for what is none."""
        try:
            written = json.loads(text)
            signatures = tuple(
                (b64decode(each["certificate"]), b64decode(each["signature"]))
                for each in written["signatures"]
            )
            return cls(str(written["statement"]), signatures)
        except (ValueError, KeyError, TypeError) as error:
            raise ApprovalNotValid("The approval cannot be read.") from error


def canonical(facts: object) -> str:
    """Write facts in the one form that is signed."""
    return json.dumps(facts, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def certificate_statement(act: str, key_name: str, certificate: x509.Certificate, *, now: datetime) -> str:
    """State an act about a certificate, signed or not yet: `enrol`, `renew`, `import`, `reinstate`."""
    facts = {
        "act": act,
        "at": now.astimezone(UTC).isoformat(timespec="microseconds"),
        "key": key_name,
        "subject": certificate.subject.rfc4514_string(),
        "issuer": certificate.issuer.rfc4514_string(),
        "serial": f"{certificate.serial_number:x}",
        "not_before": certificate.not_valid_before_utc.isoformat(),
        "not_after": certificate.not_valid_after_utc.isoformat(),
        "tbs_sha256": digest_of_tbs(certificate),
    }
    return canonical(facts)


def digest_of_tbs(certificate: x509.Certificate) -> str:
    """Return the SHA-256 of what a certificate's issuer signs, or has signed, in hexadecimal digits."""
    return hashlib.sha256(certificate.tbs_certificate_bytes).hexdigest()


def approver(act: str, custodians: Sequence[OpenKey], now: datetime) -> Approver:
    """Return what has the custodians approve certificates for an act."""

    def approve_certificate(key_name: str, certificate: x509.Certificate) -> Approval:
        return approve(certificate_statement(act, key_name, certificate, now=now), custodians)

    return approve_certificate


def approve(statement: str, custodians: Sequence[OpenKey]) -> Approval:
    """Have the custodians sign a statement. Raises ApprovalNotValid unless they are two different ones."""
    data = _CONTEXT + statement.encode()
    signatures = tuple((key.certificate.public_bytes(Encoding.DER), key.sign(data)) for key in custodians)
    approval = Approval(statement, signatures)
    roots = [key.chain[-1] for key in custodians if key.chain]
    verify_approval(approval, roots)
    return approval


def verify_approval(
    approval: Approval, trust_anchors: Iterable[x509.Certificate]
) -> tuple[x509.Certificate, ...]:
    """Return the certificates of the custodians who signed, each certified by a trust anchor.

    Raises ApprovalNotValid unless two different custodians have, with certificates valid at the time that the
    statement says.
    """
    roots = list(trust_anchors)
    try:
        at = datetime.fromisoformat(approval.facts["at"])
        custodians = tuple(x509.load_der_x509_certificate(der) for der, _ in approval.signatures)
        for custodian, (_, signature) in zip(custodians, approval.signatures, strict=True):
            verify_signature(custodian.public_key(), signature, _CONTEXT + approval.statement.encode())
            _verify_custodian(custodian, roots, at)
    except (ValueError, KeyError, TypeError, InvalidSignature, x509.ExtensionNotFound) as error:
        raise ApprovalNotValid("A custodian's signature or certificate does not hold.") from error
    # One person with two keys has one name, and one key with two certificates has one identifier.
    people = {each.subject for each in custodians}
    keys = {key_identifier(each) for each in custodians}
    if not NEEDED <= len(people) == len(keys) == len(custodians):
        raise ApprovalNotValid("Two different custodians must sign.")
    return custodians


def _verify_custodian(custodian: x509.Certificate, roots: Sequence[x509.Certificate], at: datetime) -> None:
    purposes = custodian.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    (root,) = [each for each in roots if each.subject == custodian.issuer][:1]
    custodian.verify_directly_issued_by(root)
    if list(purposes) != [CUSTODIAN_PURPOSE]:
        raise ValueError
    if not custodian.not_valid_before_utc <= at <= custodian.not_valid_after_utc:
        raise ValueError
