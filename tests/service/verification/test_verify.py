"""The four verdicts, over HTTP and by value, on a really issued permit."""

import io
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import cases
import pikepdf
import pytest
import time_machine
from factories import let_forms_pass
from fastapi.testclient import TestClient
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from reportlab.pdfgen.canvas import Canvas
from sqlalchemy import Engine
from sqlmodel import select

from service.database import reading, transaction
from service.permits.models import DocumentVersion
from service.transparency.models import LogEntry
from service.verification.sandbox import Sandbox
from service.verification.verify import Reader, Verdict, Verification, verify_file

NOW = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
READER = Reader("id", "http://testserver")


def verdict_of(engine: Engine, sandbox: Sandbox, pdf: bytes) -> str:
    return verification_of(engine, sandbox, pdf).verdict


def any_pdf() -> bytes:
    out = io.BytesIO()
    canvas = Canvas(out)
    canvas.drawString(100, 700, "Bukan surat izin")
    canvas.save()
    return out.getvalue()


def test_the_exact_copy_is_genuine(engine: Engine, sandbox: Sandbox, issued: cases.Issued) -> None:
    with reading(engine) as session:
        found = verify_file(session, sandbox, issued.pdf, now=NOW, reader=READER)
    assert (found.verdict, found.log) == (Verdict.GENUINE, {"index": 0, "included": True})
    assert found.permit is not None
    assert found.permit.holder == "Siti Contoh, A.Md.Keb."
    assert found.signature is not None
    assert (found.signature.indication, found.signature.level) == ("TOTAL-PASSED", "B-T")


def appended(pdf: bytes) -> bytes:
    return pdf + b"\n"


def flipped_text(pdf: bytes) -> bytes:
    place = pdf.index(b"stream") + 40
    return pdf[:place] + bytes([pdf[place] ^ 1]) + pdf[place + 1 :]


def saved_anew(pdf: bytes) -> bytes:
    out = io.BytesIO()
    with pikepdf.open(io.BytesIO(pdf)) as document:
        document.save(out)
    return out.getvalue()


def with_a_second_revision(pdf: bytes) -> bytes:
    writer = IncrementalPdfFileWriter(io.BytesIO(pdf))
    writer.root["/Extra"] = writer.add_object(generic.pdf_string("x"))
    writer.update_root()
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


@pytest.mark.parametrize("alter", [appended, flipped_text, saved_anew, with_a_second_revision])
def test_an_altered_copy_is_altered_and_names_its_original(
    engine: Engine, sandbox: Sandbox, issued: cases.Issued, alter: Callable[[bytes], bytes]
) -> None:
    pdf = alter(issued.pdf)
    with reading(engine) as session:
        found = verify_file(session, sandbox, pdf, now=NOW, reader=READER)
    assert found.verdict == Verdict.ALTERED
    assert found.permit is not None
    assert found.permit.number == issued.permit.number
    assert found.permit.holder == "S*** C****** A********"


def test_any_other_pdf_is_unknown_and_rubbish_undecided(
    engine: Engine, sandbox: Sandbox, issued: cases.Issued
) -> None:
    assert verdict_of(engine, sandbox, any_pdf()) == Verdict.UNKNOWN
    assert verdict_of(engine, sandbox, b"%PDF-1.7 rubbish") == Verdict.UNDECIDED


def test_what_is_not_in_the_log_is_not_genuine(
    engine: Engine, sandbox: Sandbox, issued: cases.Issued
) -> None:
    with transaction(engine) as session:
        entry = session.exec(select(LogEntry)).one()
        entry.leaf = entry.leaf.replace('"active"', '"voided"')
    found = verification_of(engine, sandbox, issued.pdf)
    assert (found.verdict, found.reasons) == (Verdict.UNDECIDED, ("not_in_log",))
    assert found.log == {"index": 0, "included": False}
    assert_all_but_the_verdict_is_told(found)


def test_a_version_without_a_place_in_the_log_is_not_genuine(
    engine: Engine, sandbox: Sandbox, issued: cases.Issued
) -> None:
    with transaction(engine) as session:
        session.exec(select(DocumentVersion)).one().log_index = None
    found = verification_of(engine, sandbox, issued.pdf)
    assert (found.verdict, found.reasons) == (Verdict.UNDECIDED, ("not_in_log",))
    assert found.log == {"index": None, "included": False}


def test_a_registered_document_whose_signature_does_not_pass_is_not_genuine(
    engine: Engine, issued: cases.Issued, tmp_path: Path
) -> None:
    """The authority that the signature rests on is trusted no more."""
    strangers = tmp_path / "root.pem"
    strangers.write_bytes(cases.make_keys(tmp_path / "keys", NOW).folder.joinpath("root.pem").read_bytes())
    with closing(Sandbox(strangers, seconds=30)) as sandbox:
        found = verification_of(engine, sandbox, issued.pdf)
    assert found.verdict == Verdict.UNDECIDED
    assert found.reasons == ("signature_not_passed", "no_certificate_chain_found")
    assert found.log == {"index": 0, "included": True}
    assert_all_but_the_verdict_is_told(found)


def test_a_registered_document_that_was_not_examined_is_not_genuine(
    engine: Engine, key_folder: Path, issued: cases.Issued
) -> None:
    with closing(Sandbox(key_folder, seconds=30, memory=2**20)) as sandbox:
        found = verification_of(engine, sandbox, issued.pdf)
    assert (found.verdict, found.signature) == (Verdict.UNDECIDED, None)
    assert found.reasons in {("memory_limit",), ("stopped",)}
    assert found.log == {"index": 0, "included": True}
    assert found.permit is not None
    assert found.checked_at == NOW


def verification_of(engine: Engine, sandbox: Sandbox, pdf: bytes) -> Verification:
    with reading(engine) as session:
        return verify_file(session, sandbox, pdf, now=NOW, reader=READER)


def assert_all_but_the_verdict_is_told(found: Verification) -> None:
    """The register speaks all the same: what is missing is a proof, not the permit."""
    assert found.checked_at == NOW
    assert found.permit is not None
    assert found.permit.holder == "Siti Contoh, A.Md.Keb."
    assert found.signature is not None
    assert found.signature.signer == found.permit.signer


@pytest.fixture
def at_noon() -> Iterator[None]:
    with time_machine.travel(NOW, tick=True):
        yield


def test_the_contract_over_http(client: TestClient, issued: cases.Issued, at_noon: None) -> None:
    answer = client.post("/api/v1/verifications", files={"file": ("izin.pdf", issued.pdf)})
    assert answer.status_code == 200
    body = answer.json()
    assert set(body) == {"verdict", "reasons", "permit", "signature", "log", "checked_at"}
    assert (body["verdict"], body["permit"]["status"]) == ("genuine", "active")
    assert datetime.fromisoformat(body["checked_at"])


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (b"\xff\xd8\xff\xe0 a photo", 415, "not_a_pdf"),
        (b"", 422, "invalid_input"),
        (b"%PDF-" + bytes(20 * 1024 * 1024), 413, "too_large"),
    ],
)
def test_what_cannot_be_examined_is_refused_with_its_reason(
    client: TestClient, data: bytes, status: int, code: str
) -> None:
    answer = client.post("/api/v1/verifications", files={"file": ("x.pdf", data)})
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_a_code_shows_public_facts_and_the_status_on_a_day(
    client: TestClient, issued: cases.Issued, at_noon: None
) -> None:
    code = issued.permit.code
    now = client.get(f"/api/v1/permits/{code}").json()
    assert (now["status"], now["holder"]) == ("active", "S*** C****** A********")
    assert "3375014708900000" not in str(now)
    later = client.get(f"/api/v1/permits/{code}", params={"on": "2031-11-24"}).json()
    assert later["status"] == "expired"
    assert client.get("/api/v1/permits/" + "0" * 26).status_code == 404


def test_a_number_needs_the_day_of_issue(client: TestClient, issued: cases.Issued, at_noon: None) -> None:
    number = issued.permit.number
    let_forms_pass(client)

    def ask(day: str) -> int:
        form = {"number": number, "issued_on-day": day, "issued_on-month": "11", "issued_on-year": "2026"}
        return client.post("/verify/number", data=form).status_code

    assert (ask("23"), ask("22"), ask("99")) == (200, 404, 422)


def test_the_page_answers_in_words(client: TestClient, issued: cases.Issued, at_noon: None) -> None:
    let_forms_pass(client)
    page = client.post("/verify", files={"file": ("izin.pdf", issued.pdf)}).text
    assert "Asli dan masih berlaku" in page
    assert (
        "Genuine and still valid"
        in client.post(
            "/verify?lang=en",
            files={"file": ("izin.pdf", issued.pdf)},
        ).text
    )


def test_the_log_shows_its_signed_checkpoint(client: TestClient, issued: cases.Issued) -> None:
    lines = client.get("/log/checkpoint").text.split("\n")
    assert lines[:2] == ["testserver/log", "1"]
    assert lines[4].startswith("\u2014 testserver/log ")
