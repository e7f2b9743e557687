"""`canting keys connect`, `request` and `import`: other houses sign for our officials, or certify."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from keys.authority import Subject
from keys.request import build_request
from keys.software import load_certificates
from service import clock
from service.accounts.models import OUTSIDE_SERVICES
from service.console import Refused, opened, read_secret, read_settings, require_schema, say
from service.database import transaction
from service.key_commands import (
    NOBODY,
    SIGNER_PROMPT,
    Custodian,
    Email,
    KeyName,
    SecretFd,
    approved_by,
    keys_app,
    read_custodians,
)
from service.permits.signer import signing_as
from service.pki.adopt import adopt_certificate, adopt_list
from service.pki.enrol import connect_signer
from service.pki.store import open_store

ListFiles = Annotated[list[Path], typer.Argument(help="Revocation lists, DER or PEM.")]


Outside = StrEnum("Outside", {each.upper(): each for each in OUTSIDE_SERVICES})  # type: ignore[misc]


@keys_app.command("connect")
def keys_connect(
    email: Email,
    service: Annotated[Outside, typer.Option(help="The signing service outside.")],
    certificate_name: Annotated[
        str, typer.Option("--name", help="The official's name (CN) as their certificate has it.")
    ],
    secret_fd: SecretFd = None,
) -> None:
    """Have an official sign through a service outside. Asks who they are there, and asks the service.

    That is the NIK or the e-mail address for BSrE, the credential's id for a CSC provider.
    """
    settings = read_settings()
    identity = read_secret("NIK, surel, atau ID kredensial / NIK, e-mail or credential id", secret_fd)
    with opened(settings) as engine:
        require_schema(engine)
        with transaction(engine) as session:
            official = connect_signer(
                session,
                settings,
                email,
                service=service.value,
                identity=identity,
                certificate_name=certificate_name,
                now=clock.now(),
            )
    say(f"{official.full_name} dihubungkan.", f"{official.full_name} is connected.")
    with signing_as(official, "", settings=settings, now=clock.now()):
        say("Layanan itu siap menandatangani.", "The service is ready to sign.")


@keys_app.command("request")
def keys_request(name: KeyName, secret_fd: SecretFd = None) -> None:
    """Print a certificate request (PKCS #10, PEM) for a key, to be sent to another authority."""
    keys = open_store(read_settings())
    certificates = keys.certificates(name)
    if not certificates:
        raise Refused(f"Kunci {name} tidak bernama.", f"The key {name} names nobody.")
    passphrase = read_secret(SIGNER_PROMPT, secret_fd, is_new=False)
    with keys.open_bare_key(name, passphrase, now=clock.now()) as key:
        request = x509.load_der_x509_csr(build_request(key, Subject.of(certificates[0])))
    print(request.public_bytes(Encoding.PEM).decode(), end="")


@keys_app.command("import")
def keys_import(
    name: KeyName,
    chain_file: Annotated[
        Path, typer.Argument(metavar="CHAIN", help="The certificate and its issuers, PEM.", exists=True)
    ],
    custodian: Custodian = NOBODY,
    secret_fd: SecretFd = None,
) -> None:
    """Use another authority's certificate for a key. Two custodians approve, and the key's holder."""
    settings = read_settings()
    given = load_certificates(chain_file)
    approving = read_custodians(custodian, secret_fd)
    passphrase = read_secret(SIGNER_PROMPT, secret_fd, is_new=False)
    with approved_by(settings, approving) as (session, custodians):
        chain = adopt_certificate(
            session,
            open_store(settings),
            name,
            given,
            passphrase=passphrase,
            custodians=custodians,
            now=clock.now(),
        )
    leaf, anchor = chain[0], chain[-1]
    until = clock.city_date(leaf.not_valid_after_utc)
    subject, issuer, root = (each.rfc4514_string() for each in (leaf.subject, leaf.issuer, anchor.subject))
    say(
        f"{name} kini menandatangani izin sebagai {subject}, dari {issuer}, di bawah {root}, sampai {until}.",
        f"{name} now signs permits as {subject}, by {issuer}, below {root}, until {until}.",
    )


@keys_app.command("import-lists")
def keys_import_lists(files: ListFiles) -> None:
    """Record fresh revocation lists of other authorities: verification needs them."""
    settings = read_settings()
    keys = open_store(settings)
    with opened(settings) as engine:
        require_schema(engine)
        with transaction(engine) as session:
            names = [adopt_list(session, keys, _read_list(path), clock.now()) for path in files]
    say(f"Daftar dicatat: {', '.join(names)}.", f"Lists recorded: {', '.join(names)}.")


def _read_list(path: Path) -> bytes:
    try:
        content = path.read_bytes()
        if content.startswith(b"-----BEGIN"):
            return x509.load_pem_x509_crl(content).public_bytes(Encoding.DER)
    except (OSError, ValueError):
        raise Refused(f"{path} tidak dapat dibaca.", f"{path} cannot be read.") from None
    return content
