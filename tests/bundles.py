"""A permit with a whole life, corrected and decided to suspended and reinstated, and its evidence."""

import base64
import json
import os
import re
import subprocess
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import cases
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from factories import actor_of, make_citizen, make_submitted
from sqlalchemy import Engine

from keys.software import SoftwareKeyStore
from service.accounts.access import SERVICE, Actor
from service.applications.correct import resubmit_application
from service.applications.models import Application
from service.applications.submit import submission_sha256
from service.applications.transitions import apply_action
from service.audit import record_event
from service.database import transaction
from service.permits.agency_seal import seal_content
from service.permits.bundle import MANIFEST, MANIFEST_SEAL, SEAL_TIME, digest_of, stream_zip, write_manifest
from service.permits.compose import Printing
from service.permits.evidence_giving import Archive, give_evidence
from service.permits.extend import extend_document
from service.permits.issue import Workshop
from service.permits.models import Permit
from service.permits.revoke import reinstate_permit, suspend_permit
from service.permits.signer import OperationsKeys, open_operations_keys
from service.pki.publish import publish_revocation_lists
from service.storage import Storage
from service.transparency.log import commit_audit_trail
from service.transparency.notes import ED25519, Checkpoint, LogKey, Verifier, sign_checkpoint

NOTE = "Catatan di dalam kantor"
STRANGER = "Orang Lain"
"""Whose deeds stand between those of the case, and must not be told."""
ORIGIN = "izin.contoh.invalid/log"


Files = dict[str, bytes]
Change = Callable[[Files], Files]


@dataclass(frozen=True)
class Lived:
    """A permit, the archive it stands in, and the city of it."""

    archive: Archive
    city: cases.City
    permit: Permit
    keys: SoftwareKeyStore

    @property
    def root(self) -> bytes:
        """The root certificate (PEM), as a verifier got it from elsewhere."""
        return self.keys.certificates("root")[0].public_bytes(Encoding.PEM)

    def bundle(self, now: datetime, reader: Actor = SERVICE) -> bytes:
        _, chunks = give_evidence(
            self.archive, lambda session: session.get_one(Permit, self.permit.id), actor=reader, now=now
        )
        return b"".join(chunks)


def live(
    engine: Engine, storage: Storage, keys: SoftwareKeyStore, now: datetime, *, commits: bool = True
) -> Lived:
    """Take a permit through its life in a fresh database; `commits` says whether the last hour is logged."""
    operations = open_operations_keys(keys, cases.OPERATIONS_PASSPHRASE, lambda: now)
    printing = Printing("https://izin.contoh.invalid", is_sample=True)
    workshop = Workshop(engine, storage, operations.timestamper, lambda: now, printing)
    publish_revocation_lists(engine, keys, cases.OPERATIONS_PASSPHRASE, now - timedelta(hours=1))
    with transaction(engine) as session:
        city = cases.make_city(session, now - timedelta(days=3))
    with transaction(engine) as session:
        case = make_submitted(session, storage, city.citizen, slug=cases.SLUG, now=now)
    with transaction(engine) as session:
        cases.return_case(session, city, case, now)
    with transaction(engine) as session:
        citizen = actor_of(session, city.citizen)
        case = resubmit_application(session, case.id, actor=citizen, now=now)
    case = _approve(engine, city, case, now)
    signer = keys.open_key("official-head", cases.OFFICIAL_PASSPHRASE, now=now)
    permit = cases.issue_case(workshop, city, case, signer, now).permit
    extend_document(workshop, permit.id, tsa=operations.tsa)
    with transaction(engine) as session:
        head = actor_of(session, city.head)
        suspend_permit(session, permit.id, reason_code="own_request", remark="Uji", actor=head, now=now)
    with transaction(engine) as session:
        permit = reinstate_permit(session, permit.id, remark="Uji selesai", actor=head, now=now)
    if commits:
        with transaction(engine) as session:
            commit_audit_trail(session, now)
    raw = operations.log.public_key.public_bytes(Encoding.Raw, PublicFormat.Raw)
    log = LogKey(Verifier(ORIGIN, ED25519, raw), operations.log.sign)
    return Lived(Archive(engine, storage, operations, log), city, permit, keys)


def _approve(engine: Engine, city: cases.City, case: Application, now: datetime) -> Application:
    """Take a case to the signature, each step in a transaction of its own, while others are at work too."""
    while (step := city.permit_type.step(str(case.step))).role != "department_head":
        with transaction(engine) as session:
            actor = actor_of(session, city.officers[step.role])
            action = cases.APPROVING[step.role]
            case = apply_action(
                session, case, action, actor=actor, now=now, permit_type=city.permit_type, note=NOTE
            )
        with transaction(engine) as session:
            make_citizen(session, full_name=STRANGER)
            record_event(
                session,
                action="registered",
                subject_type="account",
                subject_id="1",
                actor_id=None,
                actor_name=STRANGER,
                actor_role="citizen",
                now=now,
            )
    return case


# Bundles as files -----------------------------------------------------------------------------------


def unpack(bundle: bytes) -> Files:
    with zipfile.ZipFile(BytesIO(bundle)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def pack(files: Files) -> bytes:
    return b"".join(stream_zip(sorted(files.items())))


def listed_anew(files: Files) -> Files:
    """Give the files with a manifest that is true of them, as whoever changes them would write it."""
    digests = {path: digest_of(data) for path, data in files.items() if not path.startswith(MANIFEST)}
    return {**files, MANIFEST: write_manifest(digests)}


def write_files(files: Files, folder: Path) -> Path:
    for path, data in files.items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
    return folder


def commands_of(readme: str, *, without: tuple[str, ...] = ()) -> str:
    """Return the README's commands as its own line takes them out, but those of the steps left out."""
    steps = re.split(r"^(?=### )", readme, flags=re.MULTILINE)
    kept = "".join(step for step in steps if not step.startswith(without)) if without else readme
    return "\n".join(re.findall(r"^```\n(.*?)^```$", kept, re.MULTILINE | re.DOTALL))


def run_commands(folder: Path, commands: str, root: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-eu"],
        cwd=folder,
        input=commands,
        env={**os.environ, "ROOT": str(root), "TMPDIR": str(folder.parent), "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        timeout=60,
    )


# Changing bundles -----------------------------------------------------------------------------------


def in_json(path: str, change: Callable[[Any], object]) -> Change:
    def apply(files: Files) -> Files:
        value = json.loads(files[path])
        change(value)
        return files | {path: json.dumps(value, ensure_ascii=False).encode()}

    return apply


def replaced(path: str, old: bytes, new: bytes) -> Change:
    def apply(files: Files) -> Files:
        assert old in files[path]
        return files | {path: files[path].replace(old, new, 1)}

    return apply


def forged_checkpoint(files: Files) -> Files:
    """The same size and root, signed by another key that calls itself the log."""
    key = Ed25519PrivateKey.generate()
    origin, size, root = files["log/checkpoint"].decode().partition("\n\n")[0].split("\n")
    other = LogKey(Verifier(origin, ED25519, key.public_key().public_bytes_raw()), key.sign)
    signed = sign_checkpoint(Checkpoint(origin, int(size), base64.b64decode(root)), other)
    return files | {"log/checkpoint": signed.encode()}


def another_submission(files: Files) -> Files:
    """A submission that agrees with its own hash, and was never submitted; its seal is left out."""
    case = json.loads(files["case.json"])
    row = case["rows"]["application_submission"][0]
    row["values"]["full_name"] = "Orang Lain Contoh"
    row["sha256"] = submission_sha256(row["values"], row["documents"])
    row["id"] = "00000000-0000-0000-0000-000000000001"
    return files | {"case.json": json.dumps(case, ensure_ascii=False).encode()}


CHANGES: dict[str, tuple[Change, str]] = {
    "a bit of the page": (replaced("documents/01.pdf", b"stream\n", b"stream "), "not_in_log"),
    "something after the document": (
        lambda files: files | {"documents/02.pdf": files["documents/02.pdf"] + b"\n"},
        "not_in_log",
    ),
    "a version cut short": (
        lambda files: files | {"documents/02.pdf": files["documents/01.pdf"][:-1]},
        "document_not_passed",
    ),
    "an entry of the log": (replaced("log/00000002.leaf", b"suspended", b"reinstated"), "not_in_log"),
    "a proof": (lambda files: files | {"log/00000000.proof": files["log/00000001.proof"]}, "not_in_log"),
    "no entry of a version": (
        lambda files: {
            path: data
            for path, data in files.items()
            if not path.startswith(("log/00000001", "log/00000002", "log/00000003"))
        },
        "not_in_log",
    ),
    "a checkpoint by another key": (forged_checkpoint, "log_not_valid"),
    "another key announced": (
        lambda files: files | {"log/vkey": files["log/vkey"].swapcase()},
        "log_not_valid",
    ),
    "an event": (
        replaced("audit/events.jsonl", b"application.forward", b"application.propose"),
        "trail_broken",
    ),
    "an event slipped in": (
        lambda files: (
            files | {"audit/events.jsonl": files["audit/events.jsonl"] + b'{"number":1,"action":"x"}\n'}
        ),
        "trail_broken",
    ),
    "the chain": (in_json("audit/chain.json", lambda chain: chain[0]["digests"].reverse()), "trail_broken"),
    "a commitment": (
        in_json("audit/chain.json", lambda chain: chain[0].update(nonce="0" * 32)),
        "trail_broken",
    ),
    "an officer's grounds": (
        in_json(
            "case.json",
            lambda case: case["rows"]["application_step_visit"][0].update(note="Lengkap."),
        ),
        "row_altered",
    ),
    "what was submitted": (
        in_json(
            "case.json",
            lambda case: case["rows"]["application_submission"][0]["values"].update(full_name="X"),
        ),
        "row_altered",
    ),
    "a submission of another content and hash": (another_submission, "row_altered"),
    "a status": (
        in_json(
            "case.json",
            lambda case: case["rows"]["permit_status_change"][1].update(status="revoked"),
        ),
        "row_altered",
    ),
}
"""Changes that whoever writes a bundle could make, each with the reason by which it is found out."""


def sealed_anew(files: Files, keys: OperationsKeys, now: datetime) -> Files:
    """Give changed files as the agency itself could: listed, and sealed with its own key."""
    listed = listed_anew(files)
    sealed = seal_content(keys, listed[MANIFEST], now)
    return listed | {MANIFEST_SEAL: sealed.signature, SEAL_TIME: sealed.time_stamp}
