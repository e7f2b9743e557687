"""The operator's commands: what they do, and how they refuse. Secrets go in by a file descriptor."""

import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import obstore
import pytest
from factories import PASSWORD
from operating import HEAD, Canting, make_head
from sqlmodel import select

from keys.software import SoftwareKeyStore
from service import clock, jobs, storage
from service.accounts.access import ADMINISTRATOR
from service.accounts.models import RoleAssignment, User
from service.audit import AuditEvent
from service.catalogue.load import DATA_FOLDER
from service.catalogue.models import active_permit_types
from service.database import open_engine, reading, transaction
from service.mail import MailMessage, queue_mail

# Settings -----------------------------------------------------------------------------------------


def test_a_missing_setting_is_named_in_both_languages(
    canting: Canting, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("CANTING_SECRET_KEY")
    assert canting("database", "upgrade") == 1
    said = capsys.readouterr().err
    assert "CANTING_SECRET_KEY belum diisi." in said
    assert "CANTING_SECRET_KEY is not set." in said
    assert "Traceback" not in said


def test_an_unfit_setting_is_named_without_its_value(
    canting: Canting, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CANTING_SECRET_KEY", "kenari-pendek")
    monkeypatch.setenv("CANTING_SMTP_PORT", "banyak")
    assert canting("database", "upgrade") == 1
    said = capsys.readouterr().err
    assert "CANTING_SECRET_KEY" in said
    assert "CANTING_SMTP_PORT" in said
    assert "kenari-pendek" not in said


# The database and the catalogue -------------------------------------------------------------------


def test_the_database_is_prepared_and_the_catalogue_loaded(canting: Canting, installation: Path) -> None:
    assert canting("catalogue", "load") == 1
    assert canting("database", "upgrade") == 0
    assert canting("database", "upgrade") == 0
    assert canting("catalogue", "load") == 0
    engine = open_engine(f"sqlite:///{installation / 'canting.sqlite3'}")
    with reading(engine) as session:
        assert len(active_permit_types(session)) > 0
        assert jobs.count_waiting_jobs(engine) == 0
    engine.dispose()


def test_an_unprepared_database_is_refused(canting: Canting, capsys: pytest.CaptureFixture[str]) -> None:
    assert canting("serve", "--port", str(free_port())) == 1
    assert "Jalankan `canting database upgrade`" in capsys.readouterr().err


def test_a_database_out_of_reach_is_refused(
    canting: Canting, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CANTING_DATABASE_URL", f"postgresql://kenari:rahasia@127.0.0.1:{free_port()}/canting")
    assert canting("audit", "verify") == 1
    said = capsys.readouterr().err
    assert "CANTING_DATABASE_URL" in said
    assert "rahasia" not in said


def test_a_broken_catalogue_is_refused_with_its_file_and_line(
    canting: Canting, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = shutil.copytree(DATA_FOLDER, tmp_path / "catalogue")
    path = broken / "permit_types" / "reklame-tetap.yaml"
    path.write_text(path.read_text().replace("deadline_working_days: 5", "deadline_working_days: lima"))
    line = 1 + path.read_text().splitlines().index(
        next(text for text in path.read_text().splitlines() if "lima" in text)
    )
    assert canting("catalogue", "check", str(broken)) == 1
    assert f"reklame-tetap.yaml:{line}: deadline_working_days" in capsys.readouterr().err
    assert canting("catalogue", "check") == 0


# Keys and accounts ----------------------------------------------------------------------------------


def test_a_mandate_is_granted(canting: Canting, prepared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_head(prepared)
    grant = ["mandate", "grant", HEAD, "--from", "2026-01-01", "--basis", "SK Nomor 1 Tahun 2026"]
    assert canting(*grant, "--capacity", "definitive") == 0
    assert "Kepala Dinas." in capsys.readouterr().out
    assert canting(*grant, "--capacity", "plt", "--position", "Kepala Dinas") == 1
    assert "Isi tanggal berakhir" in capsys.readouterr().err
    assert canting("mandate", "grant", "bukan@contoh.invalid", *grant[3:], "--capacity", "plt") == 1


def test_an_administrator_is_created(
    canting: Canting, prepared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert canting("admin", "create", "Admin@contoh.invalid", "--name", "Admin Contoh", secret=PASSWORD) == 0
    engine = open_engine(f"sqlite:///{prepared / 'canting.sqlite3'}")
    with reading(engine) as session:
        user = session.exec(select(User).where(User.email == "admin@contoh.invalid")).one()
        roles = session.exec(select(RoleAssignment.role).where(RoleAssignment.user_id == user.id)).all()
    engine.dispose()
    assert roles == [ADMINISTRATOR]
    assert canting("admin", "create", "admin@contoh.invalid", "--name", "Lain", secret=PASSWORD) == 1
    assert canting("admin", "create", "lain@contoh.invalid", "--name", "Lain", secret="pendek") == 1
    said = capsys.readouterr().err
    assert "sudah dipakai akun lain" in said
    assert "sedikitnya 10 karakter" in said


def test_a_secret_is_not_read_from_a_pipe_unasked(
    canting: Canting, keys: SoftwareKeyStore, capsys: pytest.CaptureFixture[str]
) -> None:
    assert canting("keys", "passphrase", "seal") == 1
    assert "--secret-fd 0" in capsys.readouterr().err


# The audit trail, serving, working ------------------------------------------------------------------


def test_a_changed_audit_event_is_named(
    canting: Canting, prepared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_head(prepared)
    assert canting("audit", "verify") == 0
    assert "utuh: 2 peristiwa" in capsys.readouterr().out
    engine = open_engine(f"sqlite:///{prepared / 'canting.sqlite3'}")
    with transaction(engine) as session:
        session.get_one(AuditEvent, 1).actor_name = "Orang lain"
    engine.dispose()
    assert canting("audit", "verify") == 1
    assert "rusak pada peristiwa 1" in capsys.readouterr().err


def test_a_port_in_use_is_refused(
    canting: Canting, prepared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert canting("serve", "--port", str(server.getsockname()[1])) == 1
    assert "Pilih porta lain" in capsys.readouterr().err


def test_a_wrong_operations_passphrase_keeps_it_from_serving(
    canting: Canting,
    prepared: Path,
    keys: SoftwareKeyStore,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("CANTING_OPERATIONS_PASSPHRASE", "bukan frasa operasional")
    for command in (("serve", "--port", str(free_port())), ("worker",)):
        assert canting(*command) == 1
        said = capsys.readouterr().err
        assert "tidak membuka kunci layanan" in said
        assert "Traceback" not in said


def test_a_storage_that_fails_keeps_it_from_serving_and_working(
    canting: Canting, prepared: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refusals() -> list[str]:
        return [refusal("serve", "--port", str(free_port())), refusal("worker")]

    def refusal(*command: str) -> str:
        assert canting(*command) == 1
        return capsys.readouterr().err

    monkeypatch.setenv("CANTING_STORAGE_URL", "ftp://server/folder")
    assert all("CANTING_STORAGE_URL harus berbentuk" in said for said in refusals())
    (prepared / "file").touch()
    monkeypatch.setenv("CANTING_STORAGE_URL", (prepared / "file" / "storage").as_uri())
    assert all("Penyimpanan berkas tidak dapat ditulis dan dibaca." in said for said in refusals())
    monkeypatch.setenv("CANTING_STORAGE_URL", "s3://canting")
    monkeypatch.setenv("CANTING_STORAGE_ENDPOINT", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("CANTING_STORAGE_ACCESS_KEY", "canting")
    monkeypatch.setenv("CANTING_STORAGE_SECRET_KEY", "CANARY")
    said = refusal("worker")
    assert "The file storage cannot be written and read." in said
    assert "CANARY" not in said


def test_a_storage_that_overwrites_keeps_it_from_serving(
    canting: Canting, prepared: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def overwriting_create(opened: storage.Storage, path: str, data: bytes) -> bool:
        obstore.put(opened.store, path, data)
        return True

    monkeypatch.setattr(storage, "_create", overwriting_create)
    assert canting("serve", "--port", str(free_port())) == 1
    assert "Penyimpanan menimpa berkas yang sudah ada." in capsys.readouterr().err


def test_failed_work_is_listed_and_enqueued_again(
    canting: Canting, prepared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"sqlite:///{prepared / 'canting.sqlite3'}"
    engine = open_engine(url)
    assert canting("jobs", "failed") == 0
    assert "No job has failed." in capsys.readouterr().out

    with transaction(engine) as session:
        job_id = jobs.enqueue(session, "no_such_job", "permit-1")
    with capsys.disabled():  # The queue's logger keeps the standard error that it finds first.
        jobs.launch(url, [jobs.Job("note", print)], polling_seconds=0.05)
        try:
            deadline = time.monotonic() + 20
            while not jobs.failed_jobs(engine) and time.monotonic() < deadline:
                time.sleep(0.05)
        finally:
            jobs.shutdown(grace_seconds=0)
    assert canting("jobs", "failed") == 0
    [line] = capsys.readouterr().out.splitlines()
    assert line.split("\t")[0] == job_id
    assert line.split("\t")[2:] == ["no_such_job", "permit-1", "unknown_job"]

    assert canting("jobs", "retry", job_id) == 0
    assert jobs.failed_jobs(engine) == []
    assert jobs.count_waiting_jobs(engine) == 1
    assert canting("jobs", "retry", job_id) == 1
    assert "Tidak ada pekerjaan gagal dengan ID itu." in capsys.readouterr().err
    engine.dispose()


@pytest.mark.slow
def test_a_worker_executes_jobs_and_stops_when_told(canting: Canting, prepared: Path) -> None:
    engine = open_engine(f"sqlite:///{prepared / 'canting.sqlite3'}")
    with transaction(engine) as session:
        mail = queue_mail(
            session,
            to="siti@contoh.invalid",
            language="id",
            template="password_changed",
            context={"full_name": "Siti"},
            now=clock.now(),
        )
        jobs.enqueue(session, "send_mail", str(mail.id))
    process = subprocess.Popen([sys.executable, "-m", "service.cli", "worker"])
    try:
        deadline = time.monotonic() + 60
        sent = None
        while sent is None and time.monotonic() < deadline:
            time.sleep(0.2)
            with reading(engine) as session:
                sent = session.get_one(MailMessage, mail.id).sent_at
        limits = Path(f"/proc/{process.pid}/limits").read_text()
    finally:
        process.send_signal(signal.SIGTERM)
        status = process.wait(timeout=30)
        engine.dispose()
    assert sent is not None
    assert status == 0
    # A core file would hold its memory, and that opened keys.
    assert re.search(r"Max core file size +0 +0 ", limits)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
