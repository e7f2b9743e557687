"""`canting keys …`: the keys that sign, their certificates and lists, and the keys that encrypt."""

from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from typing import Annotated

import typer
from cryptography import x509
from sqlmodel import Session

from keys.errors import WrongPassphrase
from keys.hierarchy import sign_root_list
from keys.revocation import Revocation
from service import clock
from service.accounts.access import SERVICE
from service.accounts.models import OUTSIDE_SERVICES
from service.config import parse_wrapping_keys
from service.console import Refused, opened, read_secret, read_settings, require_schema, say
from service.database import transaction
from service.permits.signer import signing_as
from service.pki.enrol import connect_signer, enrol_signer, make_hierarchy, renew_service_key
from service.pki.overview import key_overview
from service.pki.register import (
    HOLD,
    REASONS,
    record_folder,
    reinstate_certificate,
    revoke_certificate,
)
from service.pki.store import open_store
from service.rewrap import rewrap_secrets

keys_app = typer.Typer(no_args_is_help=True, help="The keys that sign, and those that encrypt.")

ROOT_PROMPT = "Frasa sandi kunci akar / Root key's passphrase"
Email = Annotated[str, typer.Argument(help="The account's e-mail address.")]
KeyName = Annotated[str, typer.Argument(help="The key's name, such as official-kadis.")]
SecretFd = Annotated[
    int | None,
    typer.Option(min=0, help="Read the passphrase's line from this file descriptor instead of asking."),
]
Reason = StrEnum("Reason", {each.name.upper(): each.value for each in REASONS})  # type: ignore[misc]


class Renewed(StrEnum):
    """Which keys have generations."""

    ROOT = "root"
    ISSUING = "issuing"
    TSA = "tsa"
    SEAL = "seal"


Outside = StrEnum("Outside", {each.upper(): each for each in OUTSIDE_SERVICES})  # type: ignore[misc]


@keys_app.command("init")
def keys_init(secret_fd: SecretFd = None) -> None:
    """Make the hierarchy: root, issuing CA, TSA, seal and log key. Asks for the root's passphrase."""
    settings = read_settings()
    passphrase = read_secret(ROOT_PROMPT, secret_fd)
    keys = make_hierarchy(settings, root_passphrase=passphrase, now=clock.now())
    names = ", ".join(keys.names())
    say(f"Kunci dibuat: {names}.", f"The keys were made: {names}.")


@keys_app.command("enrol")
def keys_enrol(email: Email, secret_fd: SecretFd = None) -> None:
    """Make a signing official's key and certificate. The official types the passphrase."""
    settings = read_settings()
    passphrase = read_secret("Frasa sandi penanda tangan / Signer's passphrase", secret_fd)
    with opened(settings) as engine, transaction(engine) as session:
        key_name = enrol_signer(session, settings, email, passphrase=passphrase, now=clock.now())
    say(f"Kunci {key_name} terdaftar.", f"The key {key_name} is enrolled.")


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


@keys_app.command("passphrase")
def keys_passphrase(
    name: KeyName,
    secret_fd: SecretFd = None,
) -> None:
    """Change a key's passphrase. Asks for the old one and the new one (two lines of --secret-fd)."""
    keys = open_store(read_settings())
    if name not in keys.names():
        raise Refused(
            f"Tidak ada kunci bernama {name}. Nama kunci pejabat tercantum di akunnya.",
            f"There is no key named {name}. An official's account names theirs.",
        )
    old = read_secret("Frasa sandi lama / Old passphrase", secret_fd, is_new=False)
    new = read_secret("Frasa sandi baru / New passphrase", secret_fd)
    try:
        keys.change_passphrase(name, old, new, now=clock.now())
    except WrongPassphrase:
        raise Refused(
            "Frasa sandi lama salah. Tidak ada yang berubah.",
            "The old passphrase is wrong. Nothing was changed.",
        ) from None
    say(f"Frasa sandi kunci {name} diganti.", f"The passphrase of the key {name} was changed.")


@keys_app.command("list")
def keys_list() -> None:
    """List every key: name, subject, issuer, last day, state, next action, from when, proven until."""
    settings = read_settings()
    with opened(settings) as engine:
        require_schema(engine)
        with transaction(engine) as session:
            keys = open_store(settings)
            record_folder(session, keys, clock.now())
            for each in key_overview(session, settings.tsa_addresses, clock.now(), keys.names()):
                days = [_day(moment) for moment in (each.not_after, each.act_from, each.verifiable_until)]
                print(
                    each.name,
                    each.subject,
                    each.issuer,
                    days[0],
                    each.state,
                    each.action,
                    *days[1:],
                    sep="\t",
                )


def _day(moment: datetime | None) -> str:
    return clock.city_date(moment).isoformat() if moment else "-"


@keys_app.command("revoke")
def keys_revoke(
    name: KeyName,
    reason: Annotated[Reason, typer.Option(help="Why, as RFC 5280 names it.")],
    compromised_on: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="The day from which the key may have been in other hands."),
    ] = None,
) -> None:
    """Revoke a key's certificate for good; its revocation list is published at once."""
    since = compromised_on.replace(tzinfo=clock.CITY_TIMEZONE) if compromised_on else None
    _change_certificate(
        lambda session, now: revoke_certificate(
            session, name, reason=x509.ReasonFlags(reason.value), compromised_at=since, actor=SERVICE, now=now
        )
    )
    say(f"Sertifikat kunci {name} dicabut.", f"The certificate of the key {name} is revoked.")


@keys_app.command("suspend")
def keys_suspend(name: KeyName) -> None:
    """Suspend a key's certificate, such as while a loss is looked into."""
    _change_certificate(
        lambda session, now: revoke_certificate(session, name, reason=HOLD, actor=SERVICE, now=now)
    )
    say(f"Sertifikat kunci {name} ditangguhkan.", f"The certificate of the key {name} is suspended.")


@keys_app.command("reinstate")
def keys_reinstate(name: KeyName) -> None:
    """End the suspension of a key's certificate."""
    _change_certificate(lambda session, now: reinstate_certificate(session, name, actor=SERVICE, now=now))
    say(f"Sertifikat kunci {name} berlaku lagi.", f"The certificate of the key {name} is in force again.")


def _change_certificate(change: Callable[[Session, datetime], object]) -> None:
    settings = read_settings()
    with opened(settings) as engine:
        require_schema(engine)
        with transaction(engine) as session:
            record_folder(session, open_store(settings), clock.now())
            change(session, clock.now())


@keys_app.command("renew")
def keys_renew(
    profile: Annotated[Renewed, typer.Argument(help="Which key of the hierarchy.")],
    secret_fd: SecretFd = None,
) -> None:
    """Make the next generation of a key: `tsa-2` after `tsa`. Restart the service to use it.

    A new issuing CA, or a new root, asks for the root's passphrase.
    """
    settings = read_settings()
    root_passphrase = None
    if profile in (Renewed.ISSUING, Renewed.ROOT):
        is_new = profile is Renewed.ROOT
        root_passphrase = read_secret(
            "Frasa sandi kunci akar / Root key's passphrase", secret_fd, is_new=is_new
        )
    name = renew_service_key(settings, profile.value, root_passphrase=root_passphrase, now=clock.now())
    say(f"Kunci {name} dibuat.", f"The key {name} was made.")


@keys_app.command("root-list")
def keys_root_list(
    revoke: Annotated[str, typer.Option(help="An issuing CA's key to revoke, such as issuing.")] = "",
    name: Annotated[str, typer.Option(help="Which root, when there are several.")] = "root",
    secret_fd: SecretFd = None,
) -> None:
    """Sign the root's revocation list anew, once a year. Asks for the root's passphrase."""
    keys = open_store(read_settings())
    passphrase = read_secret(ROOT_PROMPT, secret_fd, is_new=False)
    revocation = None
    if revoke:
        serial = keys.certificates(revoke)[0].serial_number
        revocation = Revocation(serial, clock.now(), x509.ReasonFlags.ca_compromise)
    sign_root_list(keys, passphrase, now=clock.now(), name=name, revocation=revocation)
    say("Daftar pencabutan akar ditandatangani.", "The root's revocation list was signed.")


@keys_app.command("rewrap")
def keys_rewrap() -> None:
    """Seal uploads' keys and accounts' secrets anew with the first wrapping key, so that others may go."""
    settings = read_settings()
    with opened(settings) as engine:
        require_schema(engine)
        outcome = rewrap_secrets(engine, parse_wrapping_keys(settings.wrapping_keys.get_secret_value()))
    say(f"{outcome.sealed} rahasia disegel ulang.", f"{outcome.sealed} secrets were sealed anew.")
    if outcome.not_opened:
        raise Refused(
            f"{outcome.not_opened} rahasia tidak dapat dibuka dengan CANTING_WRAPPING_KEYS. "
            "Tambahkan kunci lama yang belum ada, lalu ulangi.",
            f"{outcome.not_opened} secrets cannot be opened with CANTING_WRAPPING_KEYS. "
            "Add the old key that is missing, then repeat.",
        )
    say("Kunci lama boleh dihapus.", "Old keys may be removed.")
