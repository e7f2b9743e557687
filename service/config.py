"""Settings, read from the environment (`CANTING_…`) once, by `app` and the command line alone."""

import base64
import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

DEMONSTRATION_SECRET = "demonstration-only-not-a-secret"  # noqa: S105 (refused in production)

SHORTEST_SECRET = 32


@dataclass(frozen=True, slots=True)
class TsaAddress:
    """A time-stamping authority: its name, its address, and the policy it shall stamp under."""

    name: str
    url: str = ""
    policy: str | None = None


LOCAL_TSA = TsaAddress("local")


class KeySettings(BaseSettings):
    """Where the keys are: all that a signer's process is told.

    `keys_folder` holds encrypted key files and what is published of them; default: `keys` in the data
    folder. `officials_folder` holds officials' keys where those shall lie apart.
    """

    model_config = SettingsConfigDict(env_prefix="CANTING_", extra="ignore", frozen=True)

    base_url: str = "http://127.0.0.1:8000"
    data_folder: Path = Path("var")

    keys_folder: Path | None = None
    officials_folder: Path | None = None
    operations_passphrase: SecretStr = SecretStr("")
    """Opens the service's own keys (issuing CA, TSA, OCSP responder, seal, log), never an official's."""

    token_module: Path | None = None
    """The library that reaches the tokens; empty: keys lie in encrypted files."""
    token_label: str = "canting"  # noqa: S105 - a label
    """The label of the token with the service's own keys; an official's token is labelled as their key."""

    signer_socket: Path | None = None
    """Where a signer's process listens that holds the service's own keys; empty: this process opens them."""
    signer_user: str = ""
    """The user whom a signer answers beside its own: the name or number of the web process's."""

    @field_validator("base_url")
    @classmethod
    def _without_trailing_slash(cls, value: str) -> str:
        return value.rstrip("/")

    @property
    def effective_keys_folder(self) -> Path:
        return self.keys_folder or self.data_folder / "keys"


class Settings(KeySettings):
    """Everything an installation may choose.

    Secrets are `SecretStr`, so they never appear in a log or a traceback. In production the
    service refuses to start with a demonstration secret, without TLS in its address, or with a
    PKI whose certificates are samples unless `is_sample` says so on every page and paper.
    """

    environment: Literal["production", "demo", "test"] = "production"
    city_name: str = "Kota Pekalongan"
    help_contact: str = "dpmptsp@contoh.invalid"
    is_sample: bool = True
    """Certificates are not the national authority's: every page and paper says so."""

    database_url: str = ""
    """SQLAlchemy URL; empty: an embedded SQLite file in the data folder."""

    runs_jobs: bool = True
    """Whether this process executes durable jobs; a web process beside a worker only enqueues them."""
    executor_id: str = "local"

    storage_url: str = ""
    """Folder (`file:///…`) or bucket (`s3://bucket/prefix`); empty: a folder in the data folder."""
    storage_endpoint: str = ""
    storage_region: str = "us-east-1"
    storage_access_key: SecretStr = SecretStr("")
    storage_secret_key: SecretStr = SecretStr("")

    secret_key: SecretStr
    """Signs one-time links and CSRF tokens; at least 32 characters."""
    wrapping_keys: SecretStr
    """Keys that wrap uploads' data keys: `id:base64(32 bytes)`, comma-separated, the current one first."""

    tsa_urls: str = "local"
    """Time-stamping authorities in their order: `local`, or `name=address` with a policy after it or not."""

    bsre_url: str = ""
    """BSrE's eSign Client Service; empty: not connected. Plain http inside a private network alone."""
    bsre_user: str = ""
    bsre_password: SecretStr = SecretStr("")
    bsre_seconds: int = Field(default=60, ge=5, le=600)
    csc_url: str = ""
    """A provider of the Cloud Signature Consortium's API, version 2; empty: not connected."""
    csc_client_id: str = ""
    csc_client_secret: SecretStr = SecretStr("")
    csc_seconds: int = Field(default=30, ge=5, le=600)
    csc_issuer: str = ""
    """The organisation that issues the provider's certificates; empty: its documents are samples."""
    outside_anchors: Path | None = None
    """Trust anchors (`*.pem`) and revocation lists (`*.crl`) of the signers of other houses."""

    smtp_host: str = "127.0.0.1"
    smtp_port: int = Field(default=25, ge=1, le=65535)
    smtp_user: str = ""
    smtp_password: SecretStr = SecretStr("")
    smtp_security: Literal["none", "starttls", "tls"] = "starttls"
    mail_from: str = "Canting <no-reply@contoh.invalid>"

    witnesses: str = ""
    """The log's witnesses: `vkey address`, comma-separated; before signing each is asked what it cosigned."""
    witness_grace_hours: int = Field(default=24, ge=0, le=720)
    """So long signing goes on while a witness does not answer."""

    session_hours: int = Field(default=12, ge=1, le=720)
    max_upload_bytes: int = Field(default=10 * 1024 * 1024, ge=1024)
    max_verification_bytes: int = Field(default=20 * 1024 * 1024, ge=1024)
    metrics_token: SecretStr = SecretStr("")
    trusted_proxy_hops: int = Field(default=0, ge=0, le=5)

    @field_validator("bsre_url", "csc_url")
    @classmethod
    def _without_slash(cls, value: str) -> str:
        return value.rstrip("/")

    @field_validator("secret_key")
    @classmethod
    def _long_enough(cls, value: SecretStr) -> SecretStr:
        if len(value.get_secret_value()) < SHORTEST_SECRET:
            raise ValueError(f"CANTING_SECRET_KEY needs at least {SHORTEST_SECRET} characters")
        return value

    @field_validator("wrapping_keys")
    @classmethod
    def _wrapping_keys_are_256_bit(cls, value: SecretStr) -> SecretStr:
        parse_wrapping_keys(value.get_secret_value())
        return value

    @field_validator("tsa_urls")
    @classmethod
    def _tsa_addresses_are_read(cls, value: str) -> str:
        parse_tsa_urls(value)
        return value

    @field_validator("bsre_url", "csc_url")
    @classmethod
    def _private_or_encrypted(cls, value: str) -> str:
        if value and not is_private_or_encrypted(value):
            raise ValueError("passphrases go there: use https, or plain http in a private network alone")
        return value

    @model_validator(mode="after")
    def _outside_signers_can_be_judged(self) -> Self:
        if (self.bsre_url or self.csc_url) and self.outside_anchors is None:
            raise ValueError("signers outside need their trust anchors: set CANTING_OUTSIDE_ANCHORS")
        if not self.is_sample and not (self.bsre_url or (self.csc_url and self.csc_issuer)):
            raise ValueError("without a signer outside every document is a sample: CANTING_IS_SAMPLE=true")
        return self

    @model_validator(mode="after")
    def _one_holder_of_the_keys(self) -> Self:
        if self.signer_socket and self.operations_passphrase.get_secret_value():
            raise ValueError(
                "CANTING_OPERATIONS_PASSPHRASE is the signer's alone beside CANTING_SIGNER_SOCKET"
            )
        return self

    @model_validator(mode="after")
    def _safe_for_production(self) -> Self:
        if self.environment != "production":
            return self
        if DEMONSTRATION_SECRET in self.secret_key.get_secret_value():
            raise ValueError("CANTING_SECRET_KEY is the demonstration's; make one of your own")
        if not self.base_url.startswith("https://"):
            raise ValueError("CANTING_BASE_URL must be an https address in production")
        return self

    @property
    def effective_database_url(self) -> str:
        return self.database_url or f"sqlite:///{(self.data_folder / 'canting.sqlite3').absolute()}"

    @property
    def effective_storage_url(self) -> str:
        return self.storage_url or (self.data_folder / "storage").absolute().as_uri()

    @property
    def tsa_addresses(self) -> tuple[TsaAddress, ...]:
        return parse_tsa_urls(self.tsa_urls)

    @property
    def secure_cookies(self) -> bool:
        return self.base_url.startswith("https://")

    def make_data_folder(self) -> None:
        """Make the data folder for its owner alone; one that exists stays as the operator set it."""
        self.data_folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def is_private_or_encrypted(url: str) -> bool:
    """Tell whether what is sent to an address stays secret: TLS, this machine, or a private network.

    A name without a dot is one of the containers' or the local network's.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme != "http":
        return parts.scheme == "https" and bool(host)
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return bool(host) and ("." not in host or host.endswith((".internal", ".local", ".lan")))


def parse_wrapping_keys(text: str) -> dict[str, bytes]:
    """Parse `id:base64,id:base64` into keys by id, the current one first.

    Raises ValueError when a key is not 256 bits long or an id is missing or repeated.
    """
    keys: dict[str, bytes] = {}
    for item in filter(None, (part.strip() for part in text.split(","))):
        key_id, separator, encoded = item.partition(":")
        key = base64.b64decode(encoded, validate=True) if separator else b""
        if not key_id or key_id in keys or len(key) != 32:
            raise ValueError("CANTING_WRAPPING_KEYS must be id:base64 of 32 bytes, each id once")
        keys[key_id] = key
    if not keys:
        raise ValueError("CANTING_WRAPPING_KEYS names no key")
    return keys


_TSA = re.compile(
    r"(?P<name>[a-z0-9][a-z0-9-]{0,39})=(?P<url>https?://\S+?)(?:\s+(?P<policy>[0-9]+(\.[0-9]+)+))?"
)


def parse_tsa_urls(text: str) -> tuple[TsaAddress, ...]:
    """Parse `national=https://tsa.example.org 1.2.3, local` into authorities, the first to ask first.

    Raises ValueError for what is neither `local` nor a named http address, and for a name given twice.
    """
    found: list[TsaAddress] = []
    for item in filter(None, (part.strip() for part in text.split(","))):
        match = _TSA.fullmatch(item)
        if item != LOCAL_TSA.name and (match is None or match["name"] == LOCAL_TSA.name):
            raise ValueError("CANTING_TSA_URLS holds `local` and `name=https://…`, comma-separated")
        found.append(TsaAddress(match["name"], match["url"], match["policy"]) if match else LOCAL_TSA)
    if not found or len({each.name for each in found}) < len(found):
        raise ValueError("CANTING_TSA_URLS names no authority, or one twice")
    return tuple(found)
