"""TOTP secrets and identities outside at rest: AES-256-GCM under a key derived from the wrapping keys.

A sealed value names its wrapping key, so that the keys can be rotated: `id:base64(nonce + ciphertext)`.
"""

import base64
import secrets
import uuid

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

NONCE_BYTES = 12


def seal(plain: str, wrapping_keys: dict[str, bytes], context: str) -> str:
    """Seal a text under the first (current) wrapping key; it opens only with the same context."""
    key_id, key = next(iter(wrapping_keys.items()))
    nonce = secrets.token_bytes(NONCE_BYTES)
    sealed = nonce + AESGCM(_derive(key)).encrypt(nonce, plain.encode(), context.encode())
    return f"{key_id}:{base64.b64encode(sealed).decode()}"


def unseal(sealed: str, wrapping_keys: dict[str, bytes], context: str) -> str:
    """Open a sealed text. Raises KeyError for a key that is gone, InvalidTag for any other context."""
    key_id, _, encoded = sealed.partition(":")
    raw = base64.b64decode(encoded)
    plain = AESGCM(_derive(wrapping_keys[key_id])).decrypt(
        raw[:NONCE_BYTES], raw[NONCE_BYTES:], context.encode()
    )
    return plain.decode()


def outside_context(user_id: uuid.UUID) -> str:
    """Return the context of an account's identity at a signing service outside."""
    return f"outside:{user_id}"


def _derive(key: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=b"canting accounts totp").derive(key)
