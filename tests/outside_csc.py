"""A provider of the Cloud Signature Consortium's API, version 2: see `outside`."""

import base64
import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, utils
from cryptography.hazmat.primitives.serialization import Encoding
from outside import PASSPHRASE, Answer, Server

from keys.algorithms import algorithm_of


@dataclass(frozen=True)
class KeyKind:
    """What a provider says of a kind of key, and how it signs a hash with one."""

    sign_algorithm: str
    hash_algorithm: str
    sign: Callable[[Any, bytes], bytes]
    is_hash_told: bool = False
    """The signature's algorithm does not name the hash, so it must be given beside it."""


_KINDS = {
    "p256": KeyKind(
        "1.2.840.10045.4.3.2",
        "2.16.840.1.101.3.4.2.1",
        lambda key, digest: key.sign(digest, ec.ECDSA(utils.Prehashed(hashes.SHA256()))),
    ),
    "p384": KeyKind(
        "1.2.840.10045.4.3.3",
        "2.16.840.1.101.3.4.2.2",
        lambda key, digest: key.sign(digest, ec.ECDSA(utils.Prehashed(hashes.SHA384()))),
    ),
    "rsa3072": KeyKind(
        "1.2.840.113549.1.1.1",
        "2.16.840.1.101.3.4.2.1",
        lambda key, digest: key.sign(digest, padding.PKCS1v15(), utils.Prehashed(hashes.SHA256())),
        is_hash_told=True,
    ),
}


@dataclass
class CscServer(Server):
    client_id: str = "canting"
    client_secret: str = "rahasia klien contoh"
    credential: str = "KREDENSIAL-CONTOH-1"
    pin: str = PASSPHRASE
    key_status: str = "enabled"
    cert_status: str = "valid"
    tokens: set[str] = field(default_factory=set)
    activations: dict[str, str] = field(default_factory=dict)
    """Signature activation data that is not used yet, with the one hash each is bound to."""

    @property
    def kind(self) -> KeyKind:
        return _KINDS[algorithm_of(self.house.official.certificate.public_key()).name]

    def answer(self, handler: BaseHTTPRequestHandler, body: bytes) -> Answer | None:
        if handler.path == "/oauth2/token":
            form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
            if (form.get("client_id"), form.get("client_secret")) != (self.client_id, self.client_secret):
                return 401, {"error": "invalid_client"}
            token = secrets.token_urlsafe()
            self.tokens.add(token)
            return 200, {"access_token": token, "token_type": "Bearer", "expires_in": 3600}
        if handler.headers.get("authorization", "").removeprefix("Bearer ") not in self.tokens:
            return 401, {"error": "invalid_token"}
        values = json.loads(body)
        method = handler.path.removeprefix("/csc/v2/")
        if method == "info":
            return 200, {
                "specs": "2.0.0.2",
                "name": "Penyedia Contoh",
                "authType": ["oauth2client"],
                "methods": ["credentials/info", "credentials/authorize", "signatures/signHash"],
            }
        if values.get("credentialID") != self.credential:
            return 400, invalid("Invalid parameter credentialID")
        answers = {
            "credentials/info": self._info,
            "credentials/authorize": self._authorize,
            "signatures/signHash": self._sign_hash,
        }
        return answers[method](values)

    def _info(self, _values: dict[str, Any]) -> Answer:
        official = self.house.official
        chain = [official.certificate, *official.chain]
        return 200, {
            "key": {"status": self.key_status, "algo": [self.kind.sign_algorithm]},
            "cert": {
                "status": self.cert_status,
                "certificates": [
                    base64.b64encode(each.public_bytes(Encoding.DER)).decode() for each in chain
                ],
            },
            "auth": {"mode": "explicit", "expression": "PIN", "objects": [{"type": "Password", "id": "PIN"}]},
            "SCAL": "2",
            "multisign": 1,
        }

    def _authorize(self, values: dict[str, Any]) -> Answer:
        if self.fault == "locked":
            return 400, invalid("Credential locked")
        if values["authData"] != [{"id": "PIN", "value": self.pin}]:
            return 400, {
                "error": "invalid_authentication_data",
                "error_description": "The authentication data is invalid",
            }
        if values["hashAlgorithmOID"] != self.kind.hash_algorithm:
            return 400, invalid("Invalid parameter hashAlgorithmOID")
        if values["numSignatures"] != 1 or len(values["hashes"]) != 1:
            return 400, invalid("Numbers of signatures is too high")
        activation = secrets.token_urlsafe()
        self.activations[activation] = values["hashes"][0]
        return 200, {"SAD": activation, "expiresIn": 60}

    def _sign_hash(self, values: dict[str, Any]) -> Answer | None:
        if self.fault == "429":
            return 429, {"error": "too_many_requests"}
        if self.fault == "SAD expired":
            return 400, invalid("SAD expired")
        bound = self.activations.pop(values["SAD"], None)
        if bound is None:
            return 400, invalid("Invalid parameter SAD")
        if values["hashes"] != [bound]:
            return 400, invalid("Hash is not authorized by the SAD")
        if values["signAlgo"] != self.kind.sign_algorithm:
            return 400, invalid("Invalid parameter signAlgo")
        if self.kind.is_hash_told and values.get("hashAlgorithmOID") != self.kind.hash_algorithm:
            return 400, invalid("Invalid parameter hashAlgorithmOID")
        holder = "stranger" if self.fault == "another signer" else "official"
        signature = self.kind.sign(self.house.private_keys[holder], base64.b64decode(bound))
        self.signed.append(signature)
        if self.fault == "time-out after signing":
            self.wait()
            return None
        return 200, {"signatures": [base64.b64encode(signature).decode()]}


def invalid(description: str) -> dict[str, str]:
    return {"error": "invalid_request", "error_description": description}
