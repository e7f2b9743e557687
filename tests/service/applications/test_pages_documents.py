"""The page of documents: what is refused is told beside it, what was given is shown harmless."""

import pytest
from applying import draft_of, row
from factories import jpeg_file, pdf_file
from fastapi.testclient import TestClient
from sqlalchemy import Engine

from service.accounts.models import User
from service.applications.asked import given_documents
from service.database import transaction


@pytest.mark.parametrize(
    ("key", "name", "data", "status", "sentence"),
    [
        ("ktp", "ktp.pdf", b"MZ bukan pdf", 415, "bukan JPEG, PNG, atau PDF"),
        ("photo", "foto.jpg", pdf_file(), 415, "diminta sebagai JPEG atau PNG"),
        ("ktp", "ktp.jpg", jpeg_file()[:100], 422, "rusak"),
        ("ktp", "ktp.jpg", b"", 422, "Pilih berkas"),
        ("ktp", "ktp.jpg", bytes(10 * 1024 * 1024 + 1), 413, "lebih besar dari 10 MB"),
    ],
)
def test_a_refused_file_is_told_beside_its_document(
    engine: Engine,
    client: TestClient,
    applicant: User,
    key: str,
    name: str,
    data: bytes,
    status: int,
    sentence: str,
) -> None:
    path = draft_of(engine, applicant)
    answer = client.post(f"{path}/documents/{key}", files={"file": (name, data, "image/jpeg")})
    assert answer.status_code == status
    assert f'href="#{key}"' in answer.text
    assert sentence in answer.text
    with transaction(engine) as session:
        assert given_documents(session, row(session, path)) == {}


def test_a_given_file_is_shown_harmless_and_taken_out(
    engine: Engine, client: TestClient, applicant: User
) -> None:
    path = draft_of(engine, applicant)
    client.post(f"{path}/documents/ktp", files={"file": ("k.exe", pdf_file())})
    with transaction(engine) as session:
        upload = given_documents(session, row(session, path))["ktp"]
    shown = client.get(f"{path}/files/{upload.id}")
    assert shown.content.startswith(b"%PDF")
    assert "sandbox" in shown.headers["content-security-policy"]
    assert shown.headers["content-disposition"].startswith('inline; filename="k.exe.pdf"')
    kept = client.get(f"{path}/files/{upload.id}?download=1")
    assert kept.headers["content-disposition"].startswith("attachment;")
    removed = client.post(f"{path}/files/{upload.id}/remove")
    assert removed.headers["location"] == f"{path}/documents"
    assert client.get(f"{path}/files/{upload.id}").status_code == 404
