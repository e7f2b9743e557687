"""`canting keys ceremony` and what follows: its transcript verified, custodians, who approved what."""

from pathlib import Path
from typing import Annotated

import typer

from keys.authority import Subject
from keys.ceremony import OPERATIONS, Plan
from keys.errors import ApprovalNotValid, KeyNotFound, WrongPassphrase
from keys.hierarchy import appoint_custodian, latest
from keys.software import SoftwareKeyStore
from keys.store import CUSTODIAN_PREFIX, ROOT, KeyStore
from service import clock
from service.catalogue.source import CatalogueError
from service.console import Refused, opened, read_secret, read_settings, require_schema, say
from service.database import transaction
from service.key_commands import ROOT_PROMPT, RootFolder, SecretFd, keys_app, open_root_folder, require_apart
from service.pki.approve import find_unapproved
from service.pki.enrol import addresses, locality, organisation
from service.pki.plan import EXAMPLE, read_plan
from service.pki.register import record_folder
from service.pki.store import open_store
from service.pki.transcript import TEXT, hold, verify_ceremony

KeysFolder = Annotated[
    Path | None,
    typer.Option("--keys", help="The service's keys folder; the settings' unless told."),
]


@keys_app.command("ceremony")
def keys_ceremony(
    plan_file: Annotated[
        Path | None, typer.Argument(metavar="PLAN", help="The reviewed plan, a YAML file.")
    ] = None,
    root: RootFolder = None,
    keys: KeysFolder = None,
    example: Annotated[bool, typer.Option(help="Print a plan with comments, and do nothing else.")] = False,
    check: Annotated[bool, typer.Option(help="Check the plan, and do nothing else.")] = False,
    secret_fd: SecretFd = None,
) -> None:
    """Make the whole hierarchy from one plan; print the transcript that the witnesses sign.

    Asks for a passphrase of each holder: the root, the operations, each custodian, each official (lines of
    --secret-fd in this order). With --keys no setting is needed, so it runs on a machine without a network.
    """
    if example:
        print(EXAMPLE.read_text(encoding="utf-8"), end="")
        return
    if plan_file is None:
        raise Refused("Beri berkas rencana upacara.", "Give the file of the ceremony's plan.")
    plan = _read(plan_file)
    if check:
        say("Rencana dapat dilaksanakan.", "The plan can be carried out.")
        return
    if root is None:
        raise Refused(
            "Beri folder untuk kunci akar dengan --root, di media yang akan dibawa pergi.",
            "Give a folder for the root's key with --root, on the medium that will be carried away.",
        )
    folder, service_keys = _service_keys(keys)
    require_apart(root, folder)
    passphrases = {holder: read_secret(_prompt(holder), secret_fd) for holder in plan.holders}
    if not keys:
        _require_settings_passphrase(passphrases[OPERATIONS])
    text = _hold(plan_file, plan, folder, service_keys, SoftwareKeyStore(root), passphrases)
    print(text)
    say(
        f"Tersimpan sebagai {folder / TEXT}. Bawa folder {root} pergi.",
        f"Kept as {folder / TEXT}. Carry the folder {root} away.",
    )


def _require_settings_passphrase(typed: str) -> None:
    if typed != read_settings().operations_passphrase.get_secret_value():
        raise Refused(
            "Frasa sandi operasional berbeda dari CANTING_OPERATIONS_PASSPHRASE. Tidak ada yang dibuat.",
            "The operations passphrase differs from CANTING_OPERATIONS_PASSPHRASE. Nothing was made.",
        )


def _hold(
    plan_file: Path,
    plan: Plan,
    folder: Path,
    service_keys: KeyStore,
    root_keys: SoftwareKeyStore,
    passphrases: dict[str, str],
) -> str:
    try:
        return hold(plan_file, folder, service_keys, root_keys, passphrases, plan=plan, now=clock.now())
    except WrongPassphrase:
        raise Refused(
            "Sebuah PIN tidak membuka tokennya. Tidak ada yang dibuat.",
            "A PIN does not open its token. Nothing was made.",
        ) from None


def _service_keys(folder: Path | None) -> tuple[Path, KeyStore]:
    """Return the keys folder and its key store: files in the folder that is told, else the settings'."""
    if folder:
        return folder, SoftwareKeyStore(folder)
    settings = read_settings()
    return settings.effective_keys_folder, open_store(settings)


def _read(plan_file: Path) -> Plan:
    try:
        return read_plan(plan_file)
    except CatalogueError as error:
        raise Refused(*_lines(error)) from None


def _lines(error: CatalogueError) -> tuple[str, str]:
    said = ("\n".join(problem.text(language) for problem in error.problems) for language in ("id", "en"))
    return next(said), next(said)


def _prompt(holder: str) -> str:
    if holder == ROOT:
        return ROOT_PROMPT
    if holder == OPERATIONS:
        return "Frasa sandi operasional (CANTING_OPERATIONS_PASSPHRASE) / Operations passphrase"
    return f"Frasa sandi {holder} / Passphrase of {holder}"


@keys_app.command("ceremony-verify")
def keys_ceremony_verify(keys: KeysFolder = None) -> None:
    """Compare the keys folder with the record of its ceremony; print the transcript anew."""
    folder, service_keys = _service_keys(keys)
    try:
        text, faults = verify_ceremony(folder, service_keys)
    except CatalogueError as error:
        raise Refused(*_lines(error)) from None
    except ApprovalNotValid:
        raise Refused(
            f"Folder {folder} tidak berisi catatan upacara yang dapat dibaca.",
            f"The folder {folder} holds no record of a ceremony that can be read.",
        ) from None
    print(text)
    if faults:
        raise Refused(
            "\n".join(fault.message_id for fault in faults),
            "\n".join(fault.message_en for fault in faults),
        )
    say(
        "Folder ini cocok dengan upacaranya. Bandingkan teks di atas dengan yang ditandatangani saksi.",
        "The folder matches its ceremony. Compare the text above with what the witnesses signed.",
    )


@keys_app.command("custodian")
def keys_custodian(
    slug: Annotated[str, typer.Argument(help="The last word of the key's name: tiga for custodian-tiga.")],
    full_name: Annotated[str, typer.Option("--name", help="The custodian's full name.")],
    root: RootFolder = None,
    secret_fd: SecretFd = None,
) -> None:
    """Appoint one more custodian. Asks for the root's passphrase, then for the custodian's own."""
    settings = read_settings()
    root_keys = open_root_folder(root, settings)
    root_passphrase = read_secret(ROOT_PROMPT, secret_fd, is_new=False)
    name = f"{CUSTODIAN_PREFIX}{slug}"
    passphrase = read_secret(_prompt(name), secret_fd)
    appoint_custodian(
        open_store(settings),
        slug,
        Subject(full_name, organisation=organisation(settings), locality=locality(settings)),
        custodian_passphrase=passphrase,
        root_keys=root_keys,
        root_passphrase=root_passphrase,
        now=clock.now(),
        root_addresses=addresses(settings, latest(root_keys, ROOT)),
    )
    say(f"Kunci {name} dibuat.", f"The key {name} was made.")


@keys_app.command("audit")
def keys_audit() -> None:
    """Find certificates, and reinstatements, that two custodians have not approved."""
    settings = read_settings()
    keys = open_store(settings)
    if not keys.names():
        raise KeyNotFound
    with opened(settings) as engine:
        require_schema(engine)
        with transaction(engine) as session:
            record_folder(session, keys, clock.now())
            found = find_unapproved(session)
    for each in found:
        print(each.key_name, each.serial, each.act, sep="\t")
    if found:
        raise Refused(
            f"{len(found)} sertifikat di atas tidak disetujui dua pemegang kunci.",
            f"{len(found)} certificates above were not approved by two custodians.",
        )
    say("Semua sertifikat disetujui dua pemegang kunci.", "Two custodians approved every certificate.")
