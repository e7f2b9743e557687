"""A permit's evidence is whole, is what its README's own commands check, and fails them when changed."""

import hashlib
import json
import re
import subprocess
from datetime import timedelta
from pathlib import Path

import cases
import pytest
from bundles import (
    CHANGES,
    NOTE,
    STRANGER,
    Change,
    Files,
    Lived,
    commands_of,
    listed_anew,
    live,
    run_commands,
    unpack,
    write_files,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_der_x509_crl
from factories import actor_of
from pki import NOW
from sqlalchemy import Engine
from sqlmodel import col, select

from keys.revocation import Revocation, build_crl
from service.applications.models import Upload
from service.audit import AuditEvent, read_stretch
from service.database import reading, transaction
from service.permits.bundle import MANIFEST, MANIFEST_SEAL, SEAL_TIME
from service.permits.evidence import gather_evidence
from service.permits.evidence_case import case_rows, files_given, keys_of
from service.permits.evidence_trail import show_trail
from service.permits.models import DocumentVersion, Permit
from service.pki.outside_trust import OutsideTrust
from service.pki.register import current_lists
from service.storage import open_storage
from service.transparency.log import log_size, root_at
from service.transparency.models import LogWitness
from service.transparency.notes import COSIGNATURE, Checkpoint, Verifier, cosign_checkpoint, open_checkpoint
from service.verification.evidence import examine_bundle

SEAL_STEPS = ("### 2", "### 3")
"""What finds every change at once; without them each later check must find its own."""


@pytest.fixture
def files(bundle: bytes) -> Files:
    return unpack(bundle)


@pytest.fixture
def root(lived: Lived, tmp_path: Path) -> Path:
    """The root certificate as the court's expert got it from elsewhere."""
    path = tmp_path / "akar.pem"
    path.write_bytes(lived.root)
    return path


def readme_of(files: Files) -> str:
    return files["README.md"].decode()


# The README's own commands --------------------------------------------------------------------------


def test_the_readmes_own_line_checks_the_bundle(files: Files, root: Path, tmp_path: Path) -> None:
    folder = write_files(files, tmp_path / "bukti")
    line = re.search(r"^    (awk .+)$", readme_of(files), re.MULTILINE)
    assert line
    done = subprocess.run(
        ["bash", "-c", line[1].replace("/path/to/root.pem", str(root))],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "TMPDIR": str(tmp_path), "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "CN = Segel Elektronik (CONTOH)" in done.stdout
    assert re.search(r"^\d+ \S+ suspended suspended 2", done.stdout, re.MULTILINE)
    assert re.search(r"application\.return_for_completion Petugas front_office", done.stdout)
    assert re.search(r"sealed: 19 tanpa segel / without a seal: 2$", done.stdout, re.MULTILINE)


def test_whatever_is_changed_added_or_taken_out_fails(files: Files, root: Path, tmp_path: Path) -> None:
    commands = commands_of(readme_of(files))
    for number, path in enumerate(sorted(files)):
        data = bytearray(files[path])
        data[len(data) // 2] ^= 1
        folder = write_files(files | {path: bytes(data)}, tmp_path / str(number))
        assert run_commands(folder, commands, root).returncode, path
    added = write_files(files | {"log/00000099.leaf": b"{}"}, tmp_path / "added")
    assert run_commands(added, commands, root).returncode
    (added / "log/00000099.leaf").unlink()
    assert not run_commands(added, commands, root).returncode
    (added / "log/vkey").unlink()
    assert run_commands(added, commands, root).returncode


def test_a_list_written_anew_does_not_bear_the_seal(files: Files, root: Path, tmp_path: Path) -> None:
    changed = listed_anew(files | {"case.json": files["case.json"].replace(b"Uji", b"Uju")})
    done = run_commands(write_files(changed, tmp_path / "bukti"), commands_of(readme_of(files)), root)
    assert done.returncode
    assert "CMS Verification failure" in done.stderr


@pytest.mark.parametrize("change", [change for change, _ in CHANGES.values()], ids=CHANGES.keys())
def test_each_later_check_finds_its_own_change(
    files: Files, root: Path, tmp_path: Path, change: Change
) -> None:
    commands = commands_of(readme_of(files), without=SEAL_STEPS)
    folder = write_files(change(files), tmp_path / "bukti")
    assert run_commands(folder, commands, root).returncode


def test_a_signer_revoked_before_signing_fails(
    lived: Lived, files: Files, root: Path, tmp_path: Path
) -> None:
    keys = lived.keys
    signer = keys.certificates("official-head")[0].serial_number
    with keys.open_key("issuing", cases.OPERATIONS_PASSPHRASE, now=NOW) as issuing:
        for revoked_at, fails in ((NOW - timedelta(minutes=1), True), (NOW + timedelta(days=1), False)):
            der = build_crl(
                issuing,
                [Revocation(signer, revoked_at)],
                number=9,
                this_update=NOW + timedelta(days=2),
                next_update=NOW + timedelta(days=9),
            )
            pem = load_der_x509_crl(der).public_bytes(Encoding.PEM)
            folder = write_files(files | {"revocation/issuing-000009.pem": pem}, tmp_path / str(fails))
            commands = commands_of(readme_of(files), without=("### 2",))
            assert bool(run_commands(folder, commands, root).returncode) is fails


# What is in it --------------------------------------------------------------------------------------


def test_the_case_is_told_whole_and_nobody_elses(lived: Lived, files: Files) -> None:
    case = json.loads(files["case.json"])
    rows = case["rows"]
    assert [row["round"] for row in rows["application_submission"]] == [1, 2]
    assert {row["key"] for row in rows["application_correction"]} == {"str_number", "photo"}
    visits = rows["application_step_visit"]
    assert [visit["number"] for visit in visits] == list(range(1, len(visits) + 1))
    assert visits[-1]["actor_name"] == "Dra. Contoh Pejabat, M.Si."
    assert [row["status"] for row in rows["permit_status_change"]] == ["active", "suspended", "active"]
    assert rows["mandate"][0]["basis"] == "SK Wali Kota Contoh Nomor 1 Tahun 2020"
    assert rows["permit_type_revision"][0]["slug"] == cases.SLUG
    submitted = {file["upload_id"] for row in rows["application_submission"] for file in row["documents"]}
    assert submitted <= {file["id"] for file in case["files"]}
    everything = b"".join(files.values())
    assert STRANGER.encode() not in everything
    with reading(lived.archive.engine) as session:
        for upload in session.exec(select(Upload)):
            assert upload.wrapped_key.encode() not in everything
            assert upload.object_name.encode() not in everything


def test_the_holder_is_not_told_what_stays_inside_the_office(
    lived: Lived, files: Files, root: Path, tmp_path: Path
) -> None:
    with reading(lived.archive.engine) as session:
        holder = actor_of(session, lived.city.citizen)
    holders = lived.bundle(NOW, holder)
    own = unpack(holders)
    everything = b"".join(own.values())
    for officer in lived.city.officers.values():
        assert officer.full_name.encode() not in everything
        assert str(officer.id).encode() not in everything
    for inside in (NOTE, "Uji selesai"):
        assert inside.encode() in b"".join(files.values())
        assert inside.encode() not in everything
    case = json.loads(own["case.json"])
    assert case["withheld"]["application_step_visit"] == ["actor_id", "actor_name", "note", "data"]
    assert case["rows"]["application_step_visit"][0]["role"] == "front_office"
    assert "Nomor STR tidak sama" in str(case["rows"]["application_correction"])
    found = examine_bundle(holders, lived.root, NOW)
    assert (found["reasons"], found["rows"] > found["bare_rows"] > 10) == ([], True)
    done = run_commands(write_files(own, tmp_path / "bukti"), commands_of(readme_of(own)), root)
    assert done.returncode == 0, done.stderr
    assert "application.submit" in done.stdout
    assert "application.sign" in done.stdout


def test_the_documents_are_the_registered_ones(lived: Lived, files: Files) -> None:
    with reading(lived.archive.engine) as session:
        statement = select(DocumentVersion).order_by(col(DocumentVersion.version))
        expected = [version.sha256 for version in session.exec(statement)]
    found = [files[path] for path in sorted(files) if path.startswith("documents/")]
    assert [hashlib.sha256(data).hexdigest() for data in found] == expected
    assert len(expected) == 2


def test_the_same_state_gives_the_same_bytes_but_for_the_seal(lived: Lived, files: Files) -> None:
    later = unpack(lived.bundle(NOW + timedelta(hours=1)))
    assert {path for path in files if later[path] != files[path]} == {MANIFEST_SEAL, SEAL_TIME}
    assert list(files) == sorted(files)


def test_the_proofs_lead_to_what_a_witness_cosigned(lived: Lived) -> None:
    key = Ed25519PrivateKey.generate()
    witness = Verifier("saksi.contoh", COSIGNATURE, key.public_key().public_bytes_raw())
    with transaction(lived.archive.engine) as session:
        seen = Checkpoint(lived.archive.log.verifier.name, log_size(session), b"")
        seen = Checkpoint(seen.origin, seen.size, root_at(session, seen.size))
        line = cosign_checkpoint(seen, witness, key.sign, NOW)
        session.add(
            LogWitness(name=witness.name, size=seen.size, root=seen.root.hex(), cosignature=line, seen_at=NOW)
        )
    lived.bundle(NOW)  # What is given is recorded, and does not move the proofs beyond the witness.
    note = unpack(lived.bundle(NOW))["log/checkpoint"].decode()
    assert open_checkpoint(note, witness) == open_checkpoint(note, lived.archive.log.verifier) == seen
    with transaction(lived.archive.engine) as session:
        session.delete(session.get_one(LogWitness, witness.name))


def test_who_was_given_a_bundle_is_recorded(lived: Lived) -> None:
    given = unpack(lived.bundle(NOW))
    with reading(lived.archive.engine) as session:
        event = list(read_stretch(session, 1))[-1]
    assert isinstance(event, AuditEvent)
    assert (event.action, event.subject_id) == ("evidence_given", str(lived.permit.id))
    assert event.data["manifest"] == hashlib.sha256(given[MANIFEST]).hexdigest()


def test_what_the_log_lacks_yet_is_said(engine: Engine, tmp_path: Path) -> None:
    storage = open_storage((tmp_path / "storage").as_uri())
    keys = cases.make_keys(tmp_path / "keys", NOW - timedelta(days=1))
    lived = live(engine, storage, keys, NOW, commits=False)
    files = unpack(lived.bundle(NOW))
    assert "leaf" not in json.loads(files["audit/chain.json"])[-1]
    found = examine_bundle(lived.bundle(NOW), lived.root, NOW)
    assert (found["reasons"], found["not_logged"]) == ([], 1)
    root = tmp_path / "root.pem"
    root.write_bytes(lived.root)
    done = run_commands(write_files(files, tmp_path / "bukti"), commands_of(readme_of(files)), root)
    assert (done.returncode, "belum / not yet" in done.stdout) == (0, True)


def test_seals_among_those_of_others_are_not_shown(lived: Lived) -> None:
    with reading(lived.archive.engine) as session:
        permit = session.get_one(Permit, lived.permit.id)
        everything = keys_of(
            case_rows(session, permit, whole=True), files_given(session, permit, whole=True), whole=True
        )
        others = {name: set(list(keys)[1:]) for name, keys in everything.items()}
        shown = [
            body for stretch in show_trail(session, permit, everything, whole=True) for body in stretch.bodies
        ]
        hidden = [
            body for stretch in show_trail(session, permit, others, whole=True) for body in stretch.bodies
        ]
    assert sum('"action":"rows_sealed"' in body for body in shown) > 10
    assert sum('"action":"rows_sealed"' in body for body in hidden) < 5
    assert {body for body in shown if "rows_sealed" not in body} <= set(hidden)


def test_what_judges_another_houses_signature_is_in_it(lived: Lived) -> None:
    chain = lived.keys.certificates("root")
    with reading(lived.archive.engine) as session:
        permit = session.get_one(Permit, lived.permit.id)
        trust = OutsideTrust(chain, tuple(current_lists(session)))
        here = gather_evidence(session, permit, lived.archive.log, trust, whole=True).files
        permit.signed_by = "bsre"
        outside = gather_evidence(session, permit, lived.archive.log, trust, whole=True).files
    assert outside.keys() - here.keys() == {
        "certificates/outside.pem",
        "revocation/outside/signer-00.pem",
        "revocation/outside/signer-01.pem",
    }
    assert outside["certificates/outside.pem"] == lived.root
