"""What the certificate authority has issued, revoked and published."""

from datetime import datetime

from sqlalchemy import Column, LargeBinary, Text
from sqlmodel import Field, SQLModel

from service.database import UTCDateTime
from service.seals import sealed


@sealed()
class IssuedCertificate(SQLModel, table=True):
    """A certificate of the hierarchy, for good: also after its key was renewed or destroyed."""

    __tablename__ = "issued_certificate"

    serial: str = Field(primary_key=True, max_length=40)
    """The serial number in lower-case hexadecimal digits."""
    issuer: str = Field(index=True, max_length=63)
    """The name of the authority's key; a root's own."""
    key_name: str = Field(index=True, max_length=63)
    subject: str = Field(max_length=64)
    """The subject's common name."""
    not_before: datetime = Field(sa_column=Column(UTCDateTime, nullable=False))
    not_after: datetime = Field(sa_column=Column(UTCDateTime, nullable=False))
    der: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    recorded_at: datetime = Field(sa_column=Column(UTCDateTime, nullable=False))
    revoked_at: datetime | None = Field(default=None, sa_column=Column(UTCDateTime))
    revocation_reason: str | None = Field(default=None, max_length=30)
    """A CRLReason by its name (RFC 5280 §5.3.1); `certificateHold` is a suspension."""
    compromised_at: datetime | None = Field(default=None, sa_column=Column(UTCDateTime))
    """Since when the key may have been in other hands; signatures from then on prove nothing."""


@sealed()
class CertificateApproval(SQLModel, table=True):
    """What two custodians approved of a certificate: that it is issued, or in force again."""

    __tablename__ = "certificate_approval"

    sha256: str = Field(primary_key=True, max_length=64)
    """SHA-256 of the statement, in hexadecimal digits: no statement counts twice."""
    serial: str = Field(index=True, max_length=40)
    act: str = Field(max_length=20)
    """`ceremony`, `enrol`, `renew`, `import` or `reinstate`."""
    document: str = Field(sa_column=Column(Text, nullable=False))
    """The statement and the custodians' signatures, JSON."""
    recorded_at: datetime = Field(sa_column=Column(UTCDateTime, nullable=False))


@sealed()
class RevocationList(SQLModel, table=True):
    """A published certificate revocation list; the one with the highest number speaks.

    Of another house's issuer (`tsa name:fingerprint`) the newest alone is kept, under the number 0.
    """

    __tablename__ = "revocation_list"

    issuer: str = Field(primary_key=True, max_length=63)
    number: int = Field(primary_key=True)
    this_update: datetime = Field(sa_column=Column(UTCDateTime, nullable=False))
    next_update: datetime = Field(sa_column=Column(UTCDateTime, nullable=False))
    der: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class OcspAnswer(SQLModel, table=True):
    """An answer signed beforehand, for queries without a nonce (RFC 5019)."""

    __tablename__ = "ocsp_answer"

    cert_id: str = Field(primary_key=True, max_length=64)
    """SHA-256 of the CertID asked about, in hexadecimal digits."""
    serial: str = Field(max_length=40)
    says: str = Field(max_length=80)
    """The status that it tells, to notice that the register says something else by now."""
    this_update: datetime = Field(sa_column=Column(UTCDateTime, nullable=False))
    next_update: datetime = Field(sa_column=Column(UTCDateTime, nullable=False))
    der: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


@sealed(leaving_out=("answered_at",))
class OutsideCertificate(SQLModel, table=True):
    """A certificate with which a time-stamping authority of another house has stamped."""

    __tablename__ = "outside_certificate"

    fingerprint: str = Field(primary_key=True, max_length=64)
    """SHA-256 of the certificate, in hexadecimal digits."""
    tsa: str = Field(index=True, max_length=40)
    """The authority's name in the setting."""
    subject: str = Field(max_length=64)
    not_before: datetime = Field(sa_column=Column(UTCDateTime, nullable=False))
    not_after: datetime = Field(sa_column=Column(UTCDateTime, nullable=False))
    chain: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    """The certificate and its issuers up to the root, PEM."""
    answered_at: datetime = Field(sa_column=Column(UTCDateTime, nullable=False))
    """When it last gave a usable time stamp."""
