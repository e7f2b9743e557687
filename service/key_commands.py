"""`canting keys …`: the keys that sign, their certificates and lists, and the keys that encrypt."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from cryptography import x509
from sqlmodel import Session

from keys import store
from keys.approval import NEEDED, approver
from keys.errors import KeyNotFound, WrongPassphrase
from keys.hierarchy import sign_root_list
from keys.revocation import Revocation
from keys.software import SoftwareKeyStore
from keys.store import KeyStore, OpenKey
from service import clock
from service.accounts.access import SERVICE
from service.config import Settings, parse_wrapping_keys
from service.console import Refused, opened, read_secret, read_settings, require_schema, say
from service.database import transaction
from service.pki.approve import TwoCustodiansNeeded, open_custodians
from service.pki.enrol import enrol_signer, reissue_signer, renew_service_key
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

SIGNER_PROMPT = "Frasa sandi penanda tangan / Signer's passphrase"
ROOT_PROMPT = "Frasa sandi kunci akar / Root key's passphrase"
Email = Annotated[str, typer.Argument(help="The account's e-mail address.")]
KeyName = Annotated[str, typer.Argument(help="The key's name, such as official-kadis.")]
SecretFd = Annotated[
    int | None,
    typer.Option(min=0, help="Read the passphrase's line from this file descriptor instead of asking."),
]
Custodian = Annotated[
    list[str], typer.Option(help="A custodian who approves, such as custodian-satu; give two of them.")
]
NOBODY: list[str] = []
RootFolder = Annotated[
    Path | None, typer.Option(help="The folder of the root's key, on a medium that is kept apart.")
]
CompromisedOn = Annotated[
    datetime | None,
    typer.Option(formats=["%Y-%m-%d"], help="The day from which the key may have been in other hands."),
]
Reason = StrEnum("Reason", {each.name.upper(): each.value for each in REASONS})  # type: ignore[misc]


class Renewed(StrEnum):
    """Which keys have generations."""

    ROOT = "root"
    ISSUING = "issuing"
    TSA = "tsa"
    SEAL = "seal"


@keys_app.command("enrol")
def keys_enrol(email: Email, custodian: Custodian = NOBODY, secret_fd: SecretFd = None) -> None:
    """Make a signing official's key and certificate. Two custodians approve it."""
    settings = read_settings()
    approving = read_custodians(custodian, secret_fd)
    passphrase = read_secret(SIGNER_PROMPT, secret_fd)
    with approved_by(settings, approving) as (session, custodians):
        key_name = enrol_signer(
            session, settings, email, passphrase=passphrase, custodians=custodians, now=clock.now()
        )
    say(f"Kunci {key_name} terdaftar.", f"The key {key_name} is enrolled.")


@keys_app.command("reissue")
def keys_reissue(
    email: Email,
    reason: Annotated[Reason, typer.Option(help="Why the old one is revoked, as RFC 5280 names it.")],
    compromised_on: CompromisedOn = None,
    custodian: Custodian = NOBODY,
    secret_fd: SecretFd = None,
) -> None:
    """Revoke a signing official's certificate and enrol a new key, in one act. Two custodians approve it."""
    settings = read_settings()
    approving = read_custodians(custodian, secret_fd)
    passphrase = read_secret(SIGNER_PROMPT, secret_fd)
    with approved_by(settings, approving) as (session, custodians):
        key_name = reissue_signer(
            session,
            settings,
            email,
            passphrase=passphrase,
            custodians=custodians,
            reason=x509.ReasonFlags(reason.value),
            compromised_at=_beginning_of(compromised_on),
            now=clock.now(),
        )
    say(
        f"Sertifikat lama dicabut; kunci {key_name} terdaftar.",
        f"The old certificate is revoked; the key {key_name} is enrolled.",
    )


def _beginning_of(day: datetime | None) -> datetime | None:
    return day.replace(tzinfo=clock.CITY_TIMEZONE) if day else None


def read_custodians(names: list[str], secret_fd: int | None) -> dict[str, str]:
    """Read the passphrases of the custodians who approve an act, before anything else is asked.

    Raises TwoCustodiansNeeded.
    """
    if len(set(names)) < NEEDED:
        raise TwoCustodiansNeeded
    prompt = "Frasa sandi {0} / Passphrase of {0}"
    return {name: read_secret(prompt.format(name), secret_fd, is_new=False) for name in names}


@contextmanager
def approved_by(
    settings: Settings, passphrases: dict[str, str]
) -> Iterator[tuple[Session, Sequence[OpenKey]]]:
    """Give a transaction and the custodians who approve what is done in it; both end together.

    Raises Refused for a custodian's wrong passphrase or name, and as `open_custodians`.
    """
    keys = open_store(settings)
    if store.ISSUING not in keys.names():
        raise KeyNotFound
    with opened(settings) as engine, ExitStack() as act:
        require_schema(engine)
        session = act.enter_context(transaction(engine))
        record_folder(session, keys, clock.now())
        try:
            custodians = open_custodians(session, keys, passphrases, clock.now())
        except WrongPassphrase:
            raise Refused(
                "Frasa sandi seorang pemegang kunci salah. Tidak ada yang dilakukan.",
                "A custodian's passphrase is wrong. Nothing was done.",
            ) from None
        except KeyNotFound:
            raise Refused(
                "Tidak ada pemegang kunci dengan nama itu. Lihat nama dengan `canting keys list`.",
                "There is no custodian of that name. `canting keys list` names them.",
            ) from None
        for custodian in custodians:
            act.enter_context(custodian)
        yield session, custodians


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
    compromised_on: CompromisedOn = None,
) -> None:
    """Revoke a key's certificate for good; its revocation list is published at once."""
    since = _beginning_of(compromised_on)
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
def keys_reinstate(name: KeyName, custodian: Custodian = NOBODY, secret_fd: SecretFd = None) -> None:
    """End the suspension of a key's certificate. Two custodians approve."""
    settings = read_settings()
    approving = read_custodians(custodian, secret_fd)
    with approved_by(settings, approving) as (session, custodians):
        now = clock.now()
        approve = approver("reinstate", custodians, now)
        reinstate_certificate(session, name, approve=approve, actor=SERVICE, now=now)
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
    custodian: Custodian = NOBODY,
    root: RootFolder = None,
    secret_fd: SecretFd = None,
) -> None:
    """Make the next generation of a key: `tsa-2` after `tsa`. Restart the service to use it.

    Two custodians approve. A new issuing CA, or a new root, asks for the root's passphrase and folder.
    """
    settings = read_settings()
    approving = read_custodians(custodian, secret_fd)
    root_keys, root_passphrase = None, ""
    if profile in (Renewed.ISSUING, Renewed.ROOT):
        root_keys = open_root_folder(root, settings)
        root_passphrase = read_secret(ROOT_PROMPT, secret_fd, is_new=profile is Renewed.ROOT)
    with approved_by(settings, approving) as (session, custodians):
        name = renew_service_key(
            session,
            settings,
            profile.value,
            custodians=custodians,
            root_keys=root_keys,
            root_passphrase=root_passphrase,
            now=clock.now(),
        )
    say(f"Kunci {name} dibuat.", f"The key {name} was made.")


def open_root_folder(root: Path | None, settings: Settings) -> SoftwareKeyStore:
    """Return the store of the root's key. Raises Refused when it is none, or the service's own."""
    if root is None or not root.is_dir():
        raise Refused(
            "Beri folder kunci akar dengan --root, dari media yang disimpan terpisah.",
            "Give the folder of the root's key with --root, from the medium that is kept apart.",
        )
    require_apart(root, settings.effective_keys_folder)
    return SoftwareKeyStore(root)


def require_apart(root: Path, keys: Path) -> None:
    """Refuse a root's folder that is, or lies in, the service's own."""
    if root.resolve().is_relative_to(keys.resolve()):
        raise Refused(
            "Kunci akar tidak boleh berada di folder kunci layanan. Pilih folder di media lain.",
            "The root's key must not lie in the service's keys folder. Choose one on another medium.",
        )


@keys_app.command("root-list")
def keys_root_list(
    root: RootFolder = None,
    revoke: Annotated[
        str, typer.Option(help="A key certified by the root to revoke: issuing, custodian-satu.")
    ] = "",
    name: Annotated[str, typer.Option(help="Which root, when there are several.")] = "root",
    secret_fd: SecretFd = None,
) -> None:
    """Sign the root's revocation list anew, once a year. Asks for the root's passphrase and folder."""
    settings = read_settings()
    keys, root_keys = open_store(settings), open_root_folder(root, settings)
    passphrase = read_secret(ROOT_PROMPT, secret_fd, is_new=False)
    revocation = _revocation_by_root(keys, revoke, name) if revoke else None
    sign_root_list(keys, passphrase, now=clock.now(), root_keys=root_keys, name=name, revocation=revocation)
    say("Daftar pencabutan akar ditandatangani.", "The root's revocation list was signed.")


def _revocation_by_root(keys: KeyStore, revoked: str, root: str) -> Revocation:
    certificate, *chain = keys.certificates(revoked)
    if not chain or chain[0] != keys.certificates(root)[0]:
        raise Refused(
            f"Sertifikat {revoked} tidak diterbitkan oleh {root}.",
            f"The certificate of {revoked} was not issued by {root}.",
        )
    is_authority = revoked.partition("-")[0] == store.ISSUING
    reason = x509.ReasonFlags.ca_compromise if is_authority else x509.ReasonFlags.key_compromise
    return Revocation(certificate.serial_number, clock.now(), reason)


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
