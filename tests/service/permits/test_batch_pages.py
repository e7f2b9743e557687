"""The desk and its batches over HTTP: what is listed, what is refused, and no trace of the passphrase."""

import csv
import io
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import cases
import pytest
from factories import make_officer, sign_in
from fastapi.testclient import TestClient
from sqlalchemy import Engine, inspect, text
from sqlmodel import select

from service import clock
from service.app import create_app
from service.applications.models import Application
from service.config import Settings
from service.database import reading, transaction
from service.permits.models import Permit, SignBatch
from service.permits.signer import open_operations_keys
from service.pki.store import open_store

WRONG = "frasa keliru yang diketik"


@pytest.fixture
def city(engine: Engine, settings: Settings) -> cases.City:
    with transaction(engine) as session:
        return cases.make_city(session, clock.now() - timedelta(days=1), settings=settings)


@pytest.fixture
def client(engine: Engine, settings: Settings, city: cases.City) -> Iterator[TestClient]:
    """The head of office's browser."""
    app = create_app(settings, engine)
    app.state.operations_keys = open_operations_keys(
        open_store(settings), cases.OPERATIONS_PASSPHRASE, clock.now
    )
    client = TestClient(app, follow_redirects=False)
    sign_in(client, city.head)
    yield client
    app.state.batch_runs.close()
    app.state.sandbox.close()


def ready(engine: Engine, city: cases.City, count: int, **options: Any) -> list[Application]:
    with transaction(engine) as session:
        return [cases.bring_to_signature(session, city, clock.now(), **options) for _ in range(count)]


def wait_for(client: TestClient) -> None:
    client.app.state.batch_runs.wait()  # type: ignore[attr-defined]


def boxes(page: str) -> list[str]:
    return re.findall(r'name="files" value="([^"]+)"', page)


def select_all(client: TestClient, **asked: str) -> str:
    """Select everything of a filter; return the batch's address."""
    answer = client.post("/sign/batches", data={"everything": "yes", **asked})
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


def list_digest(client: TestClient, address: str) -> str:
    found = re.search(r'name="digest" value="(\w+)"', client.get(address).text)
    assert found is not None
    return found[1]


def run(client: TestClient, address: str, passphrase: str = cases.OFFICIAL_PASSPHRASE) -> Any:
    digest = list_digest(client, address)
    return client.post(f"{address}/run", data={"passphrase": passphrase, "digest": digest})


# The list -----------------------------------------------------------------------------------------


def test_what_cannot_be_signed_says_why_and_has_no_box(
    client: TestClient, engine: Engine, city: cases.City
) -> None:
    good = ready(engine, city, 2)
    gap = ready(engine, city, 1, practice_name="")[0]
    taken = ready(engine, city, 1)[0]
    with transaction(engine) as session:
        other = make_officer(session, ["department_head"], full_name="Pejabat Sebelah")
        row = session.get_one(Application, taken.id)
        row.taken_by, row.taken_at = other.id, clock.now()
        session.add(row)
    page = client.get("/sign").text
    assert {box.partition(".")[0] for box in boxes(page)} == {str(case.id) for case in good}
    assert "Dokumen belum lengkap" in page
    assert "sedang dikerjakan Pejabat Sebelah" in page
    # What has no box is not signed by whoever makes one up.
    made_up = [f"{gap.id}.{'0' * 64}", f"{taken.id}.{'0' * 64}", *boxes(page)]
    address = client.post("/sign/batches", data={"files": made_up}).headers["location"]
    assert "tidak ikut: 2." in client.get(address).text
    with reading(engine) as session:
        assert session.exec(select(SignBatch)).one()


def test_all_of_a_filter_are_selected_and_rejections_stand_on_top(
    client: TestClient, engine: Engine, city: cases.City
) -> None:
    ready(engine, city, 52)
    refused = ready(engine, city, 1, reasons="STR tidak terbaca.")[0]
    page = client.get("/sign").text
    assert len(boxes(page)) == 50
    address = select_all(client)
    numbers = re.findall(r'id="file-\d+"[^>]*>([\w-]+)<', client.get(address).text)
    assert (len(numbers), numbers[0]) == (53, refused.receipt_number)
    assert "1 permohonan DITOLAK." in client.get(address).text
    narrowed = select_all(client, q=str(refused.receipt_number))
    assert re.findall(r'id="file-\d+"[^>]*>([\w-]+)<', client.get(narrowed).text) == [refused.receipt_number]
    assert (
        client.post("/sign/batches", data={"everything": "yes", "q": "tidak ada"}).headers["location"]
        == "/sign"
    )


# Signing ------------------------------------------------------------------------------------------


def test_a_batch_is_signed_in_the_background_and_its_result_is_a_table(
    client: TestClient, engine: Engine, city: cases.City
) -> None:
    named = ready(engine, city, 3)
    changed = ready(engine, city, 1)[0]
    address = select_all(client)
    with transaction(engine) as session:
        row = session.get_one(Application, changed.id)
        row.values = row.values | {"practice_name": "Klinik Lain"}
        session.add(row)
        for case in named:
            session.get_one(Application, case.id).holder_name = "=SUM(1;1) Contoh"
    assert run(client, address).status_code == 303
    wait_for(client)
    page = client.get(address).text
    assert "Penandatanganan selesai" in page
    assert "Isi dokumen sudah berbeda dari yang Anda lihat." in page
    answer = client.get(f"{address}/result.csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert [row["Keadaan"] for row in rows] == ["Gagal"] + ["Sudah ditandatangani"] * 3
    assert all(row["Nomor surat"] for row in rows[1:])
    # A spreadsheet must not take an applicant's name for a formula.
    assert {row["Pemohon"] for row in rows[1:]} == {"'=SUM(1;1) Contoh"}


def test_a_list_other_than_the_one_shown_is_not_signed(
    client: TestClient, engine: Engine, city: cases.City
) -> None:
    ready(engine, city, 2)
    address = select_all(client)
    seen = list_digest(client, address)
    client.post(f"{address}/without", data={"position": "1"})
    answer = client.post(f"{address}/run", data={"passphrase": cases.OFFICIAL_PASSPHRASE, "digest": seen})
    assert answer.status_code == 409
    assert "Daftar berkasnya sudah berbeda" in answer.text
    with reading(engine) as session:
        assert session.exec(select(Permit)).all() == []


def test_another_official_finds_no_batch_of_mine(
    client: TestClient, engine: Engine, city: cases.City, settings: Settings
) -> None:
    ready(engine, city, 1)
    address = select_all(client)
    digest = list_digest(client, address)
    with transaction(engine) as session:
        other = make_officer(session, ["department_head"], full_name="Pejabat Lain", settings=settings)
    sign_in(client, other)
    api = address.replace("/sign/batches", "/api/v1/sign-batches")
    answers = [
        client.get(address),
        client.get(f"{address}/result.csv"),
        client.get(api),
        client.post(f"{address}/run", data={"passphrase": cases.OFFICIAL_PASSPHRASE, "digest": digest}),
        client.post(f"{address}/stop"),
        client.post(f"{address}/without", data={"position": "1"}),
        client.post(f"{api}/run", json={"passphrase": cases.OFFICIAL_PASSPHRASE}),
        client.post(f"{api}/stop"),
    ]
    assert [answer.status_code for answer in answers] == [404] * len(answers)


# Programmes ---------------------------------------------------------------------------------------


def test_a_programme_orders_a_batch_and_follows_it(
    client: TestClient, engine: Engine, city: cases.City
) -> None:
    waiting = ready(engine, city, 2)
    files = [
        {
            "application_id": str(case.id),
            "digest": client.get(f"/api/v1/cases/{case.id}/document").json()["digest"],
        }
        for case in waiting
    ]
    files[1]["digest"] = "0" * 64
    answer = client.post(
        "/api/v1/sign-batches", json={"files": files, "passphrase": cases.OFFICIAL_PASSPHRASE}
    )
    assert answer.status_code == 201
    wait_for(client)
    batch = client.get(f"/api/v1/sign-batches/{answer.json()['id']}").json()
    assert (batch["state"], batch["signed"], batch["failed"]) == ("ended", 1, 1)
    assert [file["failure"] for file in batch["files"]] == ["document_changed", None]
    assert batch["files"][1]["number"]
    again = client.post(
        f"/api/v1/sign-batches/{batch['id']}/run", json={"passphrase": cases.OFFICIAL_PASSPHRASE}
    )
    assert (again.status_code, again.json()["code"]) == (409, "batch_ended")


def test_an_order_for_what_is_not_there_is_refused_whole(
    client: TestClient, engine: Engine, city: cases.City
) -> None:
    with transaction(engine) as session:
        draft = cases.draft_case(session, city, clock.now())
    order = {
        "files": [{"application_id": str(draft.id), "digest": "0" * 64}],
        "passphrase": cases.OFFICIAL_PASSPHRASE,
    }
    answer = client.post("/api/v1/sign-batches", json=order)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/files/0/application_id"


# Secrets ------------------------------------------------------------------------------------------


def test_a_wrong_passphrase_writes_nothing_and_locks(
    client: TestClient, engine: Engine, city: cases.City, settings: Settings
) -> None:
    case = ready(engine, city, 1)[0]
    address = select_all(client)
    assert run(client, address, WRONG).status_code == 422
    order = {"files": [{"application_id": str(case.id), "digest": "0" * 64}], "passphrase": WRONG}
    answers = [client.post("/api/v1/sign-batches", json=order) for _ in range(5)]
    assert [answer.json()["code"] for answer in answers] == ["wrong_passphrase"] * 4 + ["key_locked"]
    with reading(engine) as session:
        batch = session.exec(select(SignBatch)).one()
    assert batch.begun_at is None
    assert run(client, address).status_code == 409
    (settings.effective_keys_folder / "official-head.failures").unlink()


def test_the_passphrase_is_nowhere_after_a_batch(
    client: TestClient,
    engine: Engine,
    city: cases.City,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    ready(engine, city, 3)
    address = select_all(client)
    assert WRONG not in run(client, address, WRONG).text
    run(client, address)
    wait_for(client)
    heard = "".join(capfd.readouterr()) + caplog.text + client.get(address).text
    kept = "\n".join(rows(engine))
    assert "sign_batch_ended" in kept
    for secret in (cases.OFFICIAL_PASSPHRASE, WRONG):
        assert secret not in heard
        assert secret not in kept


def rows(engine: Engine) -> Iterator[str]:
    """Every row of every table, the job queue's too."""
    with engine.connect() as connection:
        quoted = connection.dialect.identifier_preparer.quote
        for schema in set(inspect(connection).get_schema_names()) - {"information_schema", "pg_catalog"}:
            for table in inspect(connection).get_table_names(schema):
                for row in connection.execute(text(f"SELECT * FROM {quoted(schema)}.{quoted(table)}")):
                    yield repr(tuple(row))
