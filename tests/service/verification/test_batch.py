"""Many documents at once: each answered on its own, within bounds, for an hour, for who holds the secret."""

import csv
import io
import struct
import time
import zipfile
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import cases
import pytest
import time_machine
from factories import let_forms_pass, pdf_file
from fastapi import FastAPI
from fastapi.testclient import TestClient
from receipts import stated
from sqlalchemy import Engine

from keys.software import SoftwareKeyStore
from service import clock
from service.pki.publish import publish_revocation_lists
from service.verification import batch as batches_of
from service.verification.batch import LIFETIME, WAITING, Batches, VerificationBusy, Verifying
from service.verification.batch_intake import MAX_LINES, MAX_NUMBERS, Question
from service.verification.intake import BATCHES
from service.verification.sandbox import Sandbox
from service.verification.verify import Reader

PLACE = "/api/v1/verification-batches"


@pytest.fixture(autouse=True)
def moment(now: datetime) -> Iterator[datetime]:
    with time_machine.travel(now + timedelta(minutes=5), tick=True):
        yield now + timedelta(minutes=5)


def zipped(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


def send(client: TestClient, data: bytes) -> dict[str, object]:
    """Send a batch and wait for its end."""
    answer = client.post(PLACE, files={"file": ("kumpulan", data)})
    assert answer.status_code == 201, answer.text
    return wait(client, str(answer.json()["id"]))


def wait(client: TestClient, secret: str) -> dict[str, object]:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        body: dict[str, object] = client.get(f"{PLACE}/{secret}").json()
        if body["state"] == "ended":
            return body
        time.sleep(0.05)
    raise AssertionError("the batch does not end")


def outcomes(body: dict[str, object]) -> list[tuple[str, str, str]]:
    lines: list[dict[str, object]] = body["lines"]  # type: ignore[assignment]
    return [(str(each["name"]), str(each["verdict"]), str(each["reasons"][-1])) for each in lines]  # type: ignore[index]


def damaged(data: bytes) -> bytes:
    """Spoil the compressed bytes of the entry `rusak.pdf`."""
    place = data.index(b"rusak.pdf") + len("rusak.pdf") + 40
    return data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :]


def encrypted(data: bytes) -> bytes:
    """Mark the entry `sandi.pdf` as encrypted, in its directory record."""
    place = data.rindex(b"sandi.pdf") - 46
    assert data[place : place + 4] == b"PK\x01\x02"
    return data[: place + 8] + b"\x01\x00" + data[place + 10 :]


# Files --------------------------------------------------------------------------------------------


def test_every_file_is_a_line_of_its_own_and_one_fault_stops_nothing(
    client: TestClient, issued: cases.Issued
) -> None:
    data = zipped(
        {
            "izin/asli.pdf": issued.pdf,
            "__MACOSX/x.pdf": b"",
            "ubah.pdf": issued.pdf + b"\n",
            "rusak.pdf": pdf_file() * 3,
            "lain.pdf": pdf_file(),
            "sandi.pdf": pdf_file(),
            "catatan.txt": b"bukan pdf",
            "kosong.pdf": b"",
            "../../etc/nama\x1b.pdf": b"%PDF-1.7 rubbish",
            "asli-lagi.pdf": issued.pdf,
        }
    )
    body = send(client, encrypted(damaged(data)))
    assert (body["total"], body["done"]) == (9, 9)
    found = {name: (verdict, reason) for name, verdict, reason in outcomes(body)}
    assert found == {
        "izin/asli.pdf": ("genuine", "in_log"),
        "ubah.pdf": ("altered", "not_whole_file"),
        "rusak.pdf": ("undecided", "entry_damaged"),
        "lain.pdf": ("unknown", "not_issued_here"),
        "sandi.pdf": ("undecided", "entry_encrypted"),
        "catatan.txt": ("undecided", "not_a_pdf"),
        "kosong.pdf": ("undecided", "not_a_pdf"),
        "../../etc/nama\N{REPLACEMENT CHARACTER}.pdf": ("undecided", "unreadable"),
        "asli-lagi.pdf": ("genuine", "in_log"),
    }


def test_a_receipt_in_a_batch_is_told_as_one_in_either_form(
    engine: Engine, client: TestClient, issued: cases.Issued, key_folder: Path, now: datetime
) -> None:
    publish_revocation_lists(engine, SoftwareKeyStore(key_folder), cases.OPERATIONS_PASSPHRASE, now)
    place = f"/api/v1/permits/{issued.permit.code}/receipt"
    pdf, file = (client.post(place, params={"form": form}).content for form in ("pdf", "json"))
    body = send(client, zipped({"a.pdf": pdf, "a.json": file, "b.json": file.replace(b"active", b"actife")}))
    assert outcomes(body) == [
        ("a.pdf", "receipt", "signature_passed"),
        ("a.json", "receipt", "signature_passed"),
        ("b.json", "unknown", "outside_signature"),
    ]
    statement = stated(client.post(f"{PLACE}/{body['id']}/receipt", params={"form": "json"}).content)
    assert [line["verdict"] for line in statement["lines"]] == ["receipt", "receipt", "unknown"]


def test_a_bomb_costs_its_line_and_no_memory(
    client: TestClient, issued: cases.Issued, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches_of, "MAX_UNPACKED", 45 * 1024 * 1024)
    bomb = b"%PDF-1.7" + bytes(40 * 1024 * 1024)
    data = zipped({"1.pdf": bomb, "2.pdf": issued.pdf, "3.pdf": bomb, "4.pdf": bomb, "5.pdf": issued.pdf})
    verdicts = [(verdict, reason) for _, verdict, reason in outcomes(send(client, data))]
    too_large = ("undecided", "entry_too_large")
    # Each file has its own limit of 20 MB, and all together the ZIP's: of the last nothing is read any more.
    assert verdicts == [too_large, ("genuine", "in_log"), too_large, too_large, too_large]


def with_directory_size(data: bytes, size: int) -> bytes:
    place = data.rindex(b"PK\x05\x06")
    return data[: place + 12] + struct.pack("<I", size) + data[place + 16 :]


@pytest.mark.parametrize(
    "make",
    [
        lambda: b"PK\x03\x04 no end record",
        lambda: zipped({"a.pdf": b"x"})[:-30],
        lambda: with_directory_size(zipped({"a.pdf": b"x"}), 2**31),
        lambda: zipped({f"{number}.pdf": b"" for number in range(MAX_LINES + 1)}),
        lambda: zipped({f"{number}" + "a" * 60_000: b"" for number in range(20)}),
        lambda: zipped({}),
        lambda: zipped({"a.pdf": b"x"})[:-22] + b"PK\x06\x07" + bytes(16) + zipped({"a.pdf": b"x"})[-22:],
        lambda: b"",
        lambda: b"\xff\xfe\x00",
        lambda: b"apa,saja\n1,2\n",
        lambda: b"kode\n",
        lambda: b"kode\n" + b"A\n" * (MAX_LINES + 1),
        lambda: b"nomor,tanggal_terbit\n" + b"1/2,2026-11-23\n" * (MAX_NUMBERS + 1),
        lambda: b"kode\n" + b"A" * 200_000,
        lambda: b"kode\n" + b"A\n" * 600_000,
    ],
)
def test_what_is_too_much_or_no_batch_is_refused_whole(client: TestClient, make: Callable[[], bytes]) -> None:
    answer = client.post(PLACE, files={"file": ("kumpulan", make())})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_input")
    let_forms_pass(client)
    assert client.post("/verify/batch", files={"file": ("kumpulan", make())}).status_code == 422


# Tables -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_table_asks_codes_and_numbers_for_days(
    client: TestClient, issued: cases.Issued, separator: str
) -> None:
    code, number = issued.permit.code, issued.permit.number
    rows = [
        ["Kode", "nomor", "tanggal terbit", "pada"],
        [f"{code[:5]} {code[5:].lower()}", "", "", ""],
        [code, "", "", "22/11/2026"],
        ["0" * 26, "", "", ""],
        ["", number, "23 November 2026", ""],
        ["", number, "2026-11-22", ""],
        ["", number, "kemarin", ""],
        [code, "", "", "31/02/2027"],
        ["", "", "", "2026-11-23"],
        [code, "", "", "2031-11-24"],
        ["", "", "", ""],
    ]
    text = "\ufeff" + "\r\n".join(separator.join(row) for row in rows) + "\r\n"
    body = send(client, text.encode())
    lines: list[dict[str, dict[str, str]]] = body["lines"]  # type: ignore[assignment]
    assert [verdict for _, verdict, _ in outcomes(body)] == [
        "registered", "registered", "not_registered", "registered", "not_registered", "undecided",
        "undecided", "undecided", "undecided",
    ]  # fmt: skip
    reasons = [reason for _, _, reason in outcomes(body)]
    assert reasons[5:] == ["day_not_read", "day_not_read", "nothing_asked", "day_to_come"]
    assert [lines[place]["permit"]["status"] for place in (0, 1, 3)] == ["active", "not_yet_valid", "active"]
    assert {lines[place]["permit"]["holder"] for place in (0, 1, 3)} == {"S*** C****** A********"}
    statement = stated(client.post(f"{PLACE}/{body['id']}/receipt", params={"form": "json"}).content)
    assert [line["verdict"] for line in statement["lines"]] == [verdict for _, verdict, _ in outcomes(body)]


def test_a_fault_of_ours_at_one_line_stops_no_other(
    client: TestClient, issued: cases.Issued, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_parts: object, **_more: object) -> None:
        raise AssertionError("words of the table")

    monkeypatch.setattr(batches_of, "look_up_number", fail)
    table = f"kode,nomor,tanggal_terbit\n,1/2,2026-11-23\n{issued.permit.code},,\n"
    assert outcomes(send(client, table.encode())) == [
        ("1/2", "undecided", "line_failed"),
        (issued.permit.code, "registered", "registered"),
    ]


# Reports ------------------------------------------------------------------------------------------


def test_the_result_is_a_table_and_a_receipt_under_the_seal(
    engine: Engine, client: TestClient, issued: cases.Issued, key_folder: Path, now: datetime
) -> None:
    publish_revocation_lists(engine, SoftwareKeyStore(key_folder), cases.OPERATIONS_PASSPHRASE, now)
    body = send(client, zipped({"=1+1.pdf": issued.pdf, "\N{CROCODILE}.pdf": pdf_file()}))
    page = f"/verify/batches/{body['id']}"
    answer = client.get(f"{page}/report.csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert [row["Hasil"] for row in rows] == ["Asli", "Bukan terbitan layanan ini"]
    assert (rows[0]["Nomor izin"], rows[0]["Status"]) == (issued.permit.number, "Berlaku")
    # A spreadsheet must not take a file's name for a formula.
    assert rows[0]["Berkas, kode, atau nomor"] == "'=1+1.pdf"
    for form in ("pdf", "json"):
        receipt = client.post(f"{PLACE}/{body['id']}/receipt", params={"form": form})
        assert receipt.status_code == 200
        found = client.post("/api/v1/verifications", files={"file": ("x", receipt.content)}).json()
        assert (found["verdict"], found["permit"]) == ("receipt", None)
        assert [line["verdict"] for line in found["receipt"]["lines"]] == ["genuine", "unknown"]
    statement = stated(receipt.content)
    assert statement["verdict"] == "batch"
    let_forms_pass(client)
    assert client.post(f"{page}/receipt").headers["content-type"] == "application/pdf"


def test_the_page_shows_every_line(client: TestClient, issued: cases.Issued) -> None:
    let_forms_pass(client)
    sent = client.post("/verify/batch", files={"file": ("x.zip", zipped({"a.pdf": issued.pdf}))})
    assert sent.status_code == 303
    address = sent.headers["location"]
    wait(client, address.rpartition("/")[2])
    page = client.get(address).text
    assert "Pemeriksaan selesai" in page
    assert issued.permit.number in page
    assert "hx-get" not in page


# Keeping ------------------------------------------------------------------------------------------


def test_results_are_for_who_holds_the_secret_and_for_an_hour(
    app: FastAPI, client: TestClient, issued: cases.Issued, moment: datetime
) -> None:
    secret = str(send(client, zipped({"a.pdf": issued.pdf}))["id"])
    assert len(secret) == 32
    places = [f"{PLACE}/{{}}", "/verify/batches/{}", "/verify/batches/{}/report.csv"]
    assert [client.get(place.format(secret)).status_code for place in places] == [200] * 3
    assert [client.get(place.format("x" * 32)).status_code for place in places] == [404] * 3
    kept: Batches = app.state.verification_batches
    with time_machine.travel(moment + LIFETIME + timedelta(minutes=1)):
        answer = client.get(f"{PLACE}/{secret}")
        assert (answer.status_code, answer.json()["code"]) == (404, "verification_batch_not_found")
    assert kept._kept == {}


def test_a_flood_of_batches_is_refused(client: TestClient) -> None:
    statuses = [client.post(PLACE, files={"file": ("x", b"kode\nA\n")}).status_code for _ in range(7)]
    assert statuses == [201] * BATCHES.amount + [429]


def test_more_batches_than_can_wait_are_refused_and_closing_ends_them(
    engine: Engine, sandbox: Sandbox, moment: datetime
) -> None:
    batches = Batches()
    verifying = Verifying(engine, sandbox, Reader("id", "http://testserver"), clock.now, 1024)
    questions = [Question(code="0" * 26)] * 2000

    def start() -> str:
        return batches.start_table("", questions, verifying)

    started = [start() for _ in range(WAITING)]
    with pytest.raises(VerificationBusy):
        start()
    batches.close()
    done = [len(batches.find(secret, clock.now()).lines) for secret in started]
    assert sum(done) < WAITING * len(questions)
    with pytest.raises(VerificationBusy):
        start()
