"""A key at a provider of remote signatures: the Cloud Signature Consortium's API, version 2.

The provider signs a hash and never sees the document. Its key is opened as any other: what signs with it
need not know where it lies. Each signature is authorised by the PIN for exactly the hash to be signed
(`credentials/authorize`, §11.6), so what that authorisation opens can sign nothing else.
"""

import base64
import hashlib
from binascii import Error as NotBase64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx2
from cryptography import x509
from cryptography.exceptions import InvalidSignature

from keys.algorithms import P256, P384, RSA3072, RSA4096, algorithm_of, verify_signature
from keys.errors import (
    OutcomeUnknown,
    OutsideKeyLocked,
    OutsidePassphraseWrong,
    OutsideRefused,
    SignerNotReady,
)
from keys.outside import ask
from keys.store import OpenKey

_HASHES = {"sha256": "2.16.840.1.101.3.4.2.1", "sha384": "2.16.840.1.101.3.4.2.2"}
_RSA = "1.2.840.113549.1.1.1"
# Some providers name RSA alone, and take the hash's algorithm beside it.
_SIGN_ALGORITHMS_OF_RSA = ("1.2.840.113549.1.1.11", _RSA)
_SIGN_ALGORITHMS: dict[str, tuple[str, ...]] = {
    P256.name: ("1.2.840.10045.4.3.2",),
    P384.name: ("1.2.840.10045.4.3.3",),
    RSA3072.name: _SIGN_ALGORITHMS_OF_RSA,
    RSA4096.name: _SIGN_ALGORITHMS_OF_RSA,
}
_NEEDED = {"credentials/info", "credentials/authorize", "signatures/signHash"}
_WRONG_PIN = {"invalid_authentication_data", "invalid_pin", "invalid_otp"}
_API = "/csc/v2/"


@dataclass(frozen=True)
class Credential:
    """A key at the provider, before it is authorised: what `credentials/info` (§11.5) says of it."""

    id: str
    certificate: x509.Certificate
    chain: tuple[x509.Certificate, ...]
    sign_algorithm: str
    """OID, one of those the provider offers for the key."""
    secret: str
    """The id of the one authentication object that authorises it, such as `PIN`."""

    @property
    def digest(self) -> str:
        """Hashlib's name of the digest that the key signs."""
        return algorithm_of(self.certificate.public_key()).digest


def authenticate(client: httpx2.Client, client_id: str, client_secret: str) -> None:
    """Get the service's access token (OAuth 2.0 client credentials, §8.4.4) and have the client bring it.

    Raises what `ask` raises, and OutsideRefused.
    """
    status, answer = ask(
        client,
        "/oauth2/token",
        {
            "grant_type": "client_credentials",
            "client_id": client_id,
            "client_secret": client_secret,
            "scope": "service",
        },
        form=True,
    )
    token = answer.get("access_token")
    if status != 200 or not isinstance(token, str):
        raise OutsideRefused("The provider gave no access token.")
    client.headers["authorization"] = f"Bearer {token}"


def read_credential(client: httpx2.Client, credential_id: str) -> Credential:
    """Read what a credential is and whether it can sign. Nothing is authorised by it.

    Raises SignerNotReady (`signer_suspended`, `signer_expired`, `signer_revoked`, `signer_no_certificate`,
    `signer_not_registered`), OutsideRefused when the provider works in a way that is not supported,
    AlgorithmNotSupported, and what `ask` raises.
    """
    status, info = ask(client, f"{_API}info", {})
    if status != 200 or not set(info.get("methods") or ()) >= _NEEDED:
        raise OutsideRefused("The provider does not offer what signing a hash needs.")
    status, answer = ask(
        client,
        f"{_API}credentials/info",
        {"credentialID": credential_id, "certificates": "chain", "certInfo": True, "authInfo": True},
    )
    if status != 200:
        raise SignerNotReady("signer_not_registered")
    key, cert, auth = _object(answer, "key"), _object(answer, "cert"), _object(answer, "auth")
    _require_ready(key, cert)
    certificates = _certificates(cert)
    offered = key.get("algo") or ()
    algorithm = algorithm_of(certificates[0].public_key()).name
    usable = [oid for oid in _SIGN_ALGORITHMS.get(algorithm, ()) if oid in offered]
    secrets = auth.get("objects") or []
    if not usable or auth.get("mode") != "explicit" or len(secrets) != 1:
        raise OutsideRefused("The credential is not authorised by one secret, or not for the key's hash.")
    return Credential(
        credential_id, certificates[0], tuple(certificates[1:]), usable[0], str(secrets[0].get("id"))
    )


def open_credential(client: httpx2.Client, credential: Credential, pin: str) -> OpenKey:
    """Open a credential for one act. The PIN is not tried before `sign` is called.

    `sign` raises OutsidePassphraseWrong, OutsideKeyLocked, OutsideRefused (such as for an authorisation that
    expired), OutcomeUnknown, and what `ask` raises.
    """

    def sign(data: bytes) -> bytes:
        digest = base64.b64encode(hashlib.new(credential.digest, data).digest()).decode()
        authorisation = _authorise(client, credential, pin, digest)
        signature = _sign_hash(client, credential, authorisation, digest)
        _require_signature(credential.certificate, signature, data)
        return signature

    return OpenKey("csc", credential.certificate, credential.chain, sign)


def _authorise(client: httpx2.Client, credential: Credential, pin: str, digest: str) -> str:
    """Have one signature over this very hash authorised; return the signature activation data (§11.6)."""
    status, answer = ask(
        client,
        f"{_API}credentials/authorize",
        {
            "credentialID": credential.id,
            "numSignatures": 1,
            "hashes": [digest],
            "hashAlgorithmOID": _HASHES[credential.digest],
            "authData": [{"id": credential.secret, "value": pin}],
        },
    )
    if status != 200:
        raise _refusal(answer)
    activation = answer.get("SAD")
    if not isinstance(activation, str):
        raise OutsideRefused("The provider authorised nothing.")
    return activation


def _sign_hash(client: httpx2.Client, credential: Credential, authorisation: str, digest: str) -> bytes:
    values: dict[str, Any] = {
        "credentialID": credential.id,
        "SAD": authorisation,
        "hashes": [digest],
        "signAlgo": credential.sign_algorithm,
    }
    if credential.sign_algorithm == _RSA:
        values["hashAlgorithmOID"] = _HASHES[credential.digest]
    status, answer = ask(client, f"{_API}signatures/signHash", values, is_act=True)
    if status >= 500:
        raise OutcomeUnknown(f"The provider failed while signing (HTTP {status}).")
    if status != 200:
        raise _refusal(answer)
    signatures = answer.get("signatures")
    if not isinstance(signatures, list) or len(signatures) != 1:
        raise OutcomeUnknown("The provider's answer holds no signature.")
    return _decode(signatures[0])


def _refusal(answer: dict[str, Any]) -> Exception:
    """Read an error (§9.5): a code, and a description that alone tells some of them apart."""
    code, description = str(answer.get("error")), str(answer.get("error_description")).lower()
    if code in _WRONG_PIN:
        return OutsidePassphraseWrong("The provider refused the PIN.")
    if "locked" in description:
        return OutsideKeyLocked("The provider locked the credential.")
    if "disabled" in description:
        return SignerNotReady("signer_suspended")
    if "certificate is expired" in description:
        return SignerNotReady("signer_expired")
    if "sad expired" in description:
        return OutsideRefused("The authorisation expired before it was used.")
    return OutsideRefused("The provider refused the request.")


def _require_ready(key: dict[str, Any], cert: dict[str, Any]) -> None:
    states = {"expired": "signer_expired", "revoked": "signer_revoked", "suspended": "signer_suspended"}
    status = cert.get("status", "valid")
    if status != "valid":
        raise SignerNotReady(states.get(str(status), "signer_no_certificate"))
    if key.get("status") != "enabled":
        raise SignerNotReady("signer_suspended")


def _certificates(cert: dict[str, Any]) -> Sequence[x509.Certificate]:
    try:
        found = [x509.load_der_x509_certificate(_decode(each)) for each in cert.get("certificates") or ()]
    except ValueError:
        raise OutsideRefused("The provider's certificates cannot be read.") from None
    if not found:
        raise SignerNotReady("signer_no_certificate")
    return found


def _require_signature(certificate: x509.Certificate, signature: bytes, data: bytes) -> None:
    """Refuse a signature that the credential's certificate does not confirm."""
    try:
        verify_signature(certificate.public_key(), signature, data)
    except InvalidSignature:
        raise OutsideRefused("The provider's signature does not fit the credential's certificate.") from None


def _object(answer: dict[str, Any], name: str) -> dict[str, Any]:
    value = answer.get(name)
    return value if isinstance(value, dict) else {}


def _decode(text: object) -> bytes:
    try:
        return base64.b64decode(str(text), validate=True)
    except (NotBase64, ValueError):
        raise OutsideRefused("The provider's answer cannot be read.") from None
