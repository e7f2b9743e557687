"""How the `canting` command speaks: what it reads, what it requires, and its refusals in two languages."""

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import typer
from alembic.runtime.migration import MigrationContext
from pydantic import ValidationError
from sqlalchemy import Engine

from keys.errors import KeysError, OutsideError, TokenNotFound
from service import jobs
from service.audit import AuditChainBroken
from service.config import KeySettings, Settings
from service.database import open_engine
from service.errors import ServiceError, translate_foreign
from service.storage import StorageUnsuitable, probe_storage

Kind = TypeVar("Kind", bound=KeySettings)


class Refused(Exception):
    """What an operator asked cannot be done; says so in Indonesian and in English."""

    def __init__(self, message_id: str, message_en: str) -> None:
        self.message_id, self.message_en = message_id, message_en
        super().__init__(message_en)


def say(message_id: str, message_en: str) -> None:
    """Tell the operator what was done."""
    print(f"{message_id} / {message_en}")


def read_settings() -> Settings:
    """Read the settings from the environment. Raises Refused naming each that will not do."""
    return _read(Settings)


def read_key_settings() -> KeySettings:
    """Read what a signer's process is told, and no more. Raises as `read_settings`."""
    return _read(KeySettings)


def _read(kind: type[Kind]) -> Kind:
    try:
        return kind()
    except ValidationError as error:
        sentences = [_sentence(item["loc"], item["type"], item["msg"]) for item in error.errors()]
        ids, ens = zip(*sentences, strict=True)
        raise Refused(" ".join(ids), " ".join(ens)) from None


def _sentence(place: tuple[int | str, ...], kind: str, reason: str) -> tuple[str, str]:
    """Say what is wrong with a setting without its value, which may be a secret."""
    name = f"CANTING_{str(place[0]).upper()}" if place else "CANTING_…"
    reason = reason.removeprefix("Value error, ")
    if kind == "missing":
        return f"{name} belum diisi.", f"{name} is not set."
    return f"{name} tidak dapat diterima ({reason}).", f"{name} is not acceptable: {reason}."


@contextmanager
def opened(settings: Settings) -> Iterator[Engine]:
    """Open the settings' database for one command."""
    if not settings.database_url:
        settings.make_data_folder()
    engine = open_engine(settings.effective_database_url, pool_size=2)
    try:
        yield engine
    finally:
        engine.dispose()


def require_schema(engine: Engine) -> None:
    """Refuse a database that was never prepared."""
    with engine.execution_options(reads_only=True).connect() as connection:
        if MigrationContext.configure(connection).get_current_revision() is None:
            raise Refused(
                "Basis data belum disiapkan. Jalankan `canting database upgrade`.",
                "The database has not been prepared. Run `canting database upgrade`.",
            )


def require_storage(settings: Settings) -> None:
    """Refuse a storage that cannot be reached, or that overwrites what it is asked only to create."""
    # Imported here, because it takes as long as all commands together that need no storage.
    from service.operations import open_settings_storage

    try:
        probe_storage(open_settings_storage(settings))
    except StorageUnsuitable as error:
        raise Refused(
            "Penyimpanan menimpa berkas yang sudah ada. Pakai server S3 yang mendukung If-None-Match.",
            "The storage overwrites objects that exist. Use an S3 server that supports If-None-Match.",
        ) from error
    except ValueError as error:
        raise Refused(
            "CANTING_STORAGE_URL harus berbentuk file:///folder atau s3://bucket/prefix.",
            "CANTING_STORAGE_URL must have the form file:///folder or s3://bucket/prefix.",
        ) from error
    except (ServiceError, OSError) as error:
        raise Refused(
            "Penyimpanan berkas tidak dapat ditulis dan dibaca. Periksa CANTING_STORAGE_….",
            "The file storage cannot be written and read. Check CANTING_STORAGE_….",
        ) from error


def require_free_port(host: str, port: int) -> None:
    """Refuse a port that is in use, before anything is prepared."""
    try:
        with socket.create_server((host, port)):
            pass
    except OSError as error:
        raise Refused(
            f"Alamat {host}:{port} tidak dapat dipakai. Pilih porta lain dengan PORT atau --port.",
            f"The address {host}:{port} cannot be used. Choose another port with PORT or --port.",
        ) from error


def read_secret(prompt: str, descriptor: int | None, *, is_new: bool = True) -> str:
    """Read a secret: the next line of the file descriptor, or typed without echo, twice when it is new."""
    if descriptor is None:
        if not sys.stdin.isatty():
            raise Refused(
                "Jalankan perintah ini di terminal, atau beri --secret-fd 0 untuk masukan standar.",
                "Run this command in a terminal, or give --secret-fd 0 to read from standard input.",
            )
        again = "Sekali lagi / Again" if is_new else False
        return str(typer.prompt(prompt, hide_input=True, confirmation_prompt=again))
    try:
        # Without a buffer nothing beyond the line is taken: the next secret may follow in the next one.
        with os.fdopen(descriptor, "rb", buffering=0, closefd=False) as file:
            return file.readline().decode().rstrip("\r\n")
    except OSError as error:
        raise Refused(
            f"Deskriptor berkas {descriptor} tidak terbuka.", f"The file descriptor {descriptor} is not open."
        ) from error


KEY_SENTENCES = {
    "wrong_passphrase": (
        "CANTING_OPERATIONS_PASSPHRASE tidak membuka kunci layanan.",
        "CANTING_OPERATIONS_PASSPHRASE does not open the service's keys.",
    ),
    "key_locked": (
        "Frasa sandi salah berkali-kali, jadi kunci ini terkunci, paling lama satu jam. Coba lagi nanti.",
        "The passphrase was wrong several times, so this key is locked, for an hour at most. Try later.",
    ),
    "pin_locked": (
        "PIN token terkunci. Petugas keamanan token (SO) harus memasang PIN baru.",
        "The token's PIN is locked. The token's security officer (SO) must set a new one.",
    ),
    "token_not_found": (
        "Token tidak ditemukan atau tidak menjawab. Periksa sambungan, label, dan pustaka PKCS#11-nya.",
        "The token is missing or does not answer. Check its connection, its label and its PKCS#11 library.",
    ),
    "signer_not_found": (
        "Proses penanda tangan tidak menjawab di CANTING_SIGNER_SOCKET. Jalankan `canting signer`.",
        "The signer's process does not answer at CANTING_SIGNER_SOCKET. Run `canting signer`.",
    ),
    "purpose_refused": (
        "Ini tidak dapat dilakukan lewat proses penanda tangan. Jalankan di tempat kunci disimpan, "
        "tanpa CANTING_SIGNER_SOCKET.",
        "This cannot be done through the signer's process. Run it where the keys are kept, "
        "without CANTING_SIGNER_SOCKET.",
    ),
    "weak_passphrase": (
        "Frasa sandi, juga CANTING_OPERATIONS_PASSPHRASE, sedikitnya 8 karakter.",
        "A passphrase, CANTING_OPERATIONS_PASSPHRASE too, needs at least 8 characters.",
    ),
    "key_not_found": (
        "Kunci layanan belum ada. Adakan upacara kunci: `canting keys ceremony`.",
        "The service's keys do not exist yet. Hold the key ceremony: `canting keys ceremony`.",
    ),
    "approval_not_valid": (
        "Persetujuan dua pemegang kunci yang berbeda tidak ada atau tidak sah. Tidak ada yang dilakukan.",
        "The approval of two different custodians is missing or does not hold. Nothing was done.",
    ),
    "passphrases_alike": (
        "Setiap pemegang perlu frasa sandi sendiri; dua di antaranya sama. Tidak ada yang dibuat.",
        "Every holder needs a passphrase of their own; two of them are alike. Nothing was made.",
    ),
    "key_already_exists": (
        "Folder kunci sudah berisi kunci; tidak ada yang ditimpa.",
        "The keys' folder holds keys already; nothing was overwritten.",
    ),
}


def sentences_of(error: Exception) -> tuple[str, str]:
    """Say an expected failure in Indonesian and in English."""
    match error:
        case Refused():
            return error.message_id, error.message_en
        case ServiceError(problems=problems) if problems:
            return " ".join(p.message_id for p in problems), " ".join(p.message_en for p in problems)
        case ServiceError():
            return error.message("id"), error.message("en")
        case TokenNotFound(token=token):
            id_, en = KEY_SENTENCES[error.code]
            return f"{id_} Label yang dicari: {token}.", f"{en} The label looked for: {token}."
        case OutsideError():
            told = translate_foreign(error)
            return (told.message("id"), told.message("en")) if told else (f"{error}", f"{error}")
        case KeysError():
            return KEY_SENTENCES.get(error.code, (f"Kunci bermasalah: {error}", f"{error}"))
        case AuditChainBroken():
            return (
                f"Jejak audit rusak pada peristiwa {error.number}.",
                f"The audit trail is broken at event {error.number}.",
            )
        case jobs.ExecutorIdTaken():
            return (
                "Proses lain sudah menjalankan pekerjaan dengan CANTING_EXECUTOR_ID ini.",
                f"{str(error)[0].upper()}{str(error)[1:]}.",
            )
        case _:
            return (
                "Basis data tidak dapat dihubungi. Periksa CANTING_DATABASE_URL.",
                "The database cannot be reached. Check CANTING_DATABASE_URL.",
            )
