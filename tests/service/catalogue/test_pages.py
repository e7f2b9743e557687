"""The pages before an application."""

import re
from datetime import datetime

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine

from service.catalogue.load import load_command


@pytest.fixture(autouse=True)
def catalogue(engine: Engine, now: datetime) -> None:
    load_command(engine, now)


def slugs_on(page: str) -> list[str]:
    return re.findall(r'href="/permit-types/([a-z-]+)"', page)


def test_the_list_shows_what_is_offered(client: TestClient) -> None:
    answer = client.get("/permit-types")
    assert answer.status_code == 200
    assert sorted(slugs_on(answer.text)) == [
        "kartu-pengawasan-trayek",
        "reklame-insidentil",
        "reklame-tetap",
        "satuan-pendidikan-dasar",
        "sip-tenaga-kesehatan",
        "sip-tenaga-medis",
    ]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("q=bidan", ["sip-tenaga-kesehatan"]),
        ("q=MIDWIFE", ["sip-tenaga-kesehatan"]),
        ("q=spanduk+insidentil", ["reklame-insidentil"]),
        ("q=rkl-t", ["reklame-tetap"]),
        ("category=perhubungan", ["kartu-pengawasan-trayek"]),
        ("category=perhubungan&q=reklame", []),
        ("q=%3Cscript%3E", []),
    ],
)
def test_the_list_is_searched(client: TestClient, query: str, found: list[str]) -> None:
    page = client.get(f"/permit-types?{query}").text
    assert slugs_on(page) == found
    assert ("Tidak ada jenis izin yang cocok." in page) is (not found)
    assert "<script>" not in page


def test_a_type_says_what_it_needs_costs_and_takes(client: TestClient) -> None:
    page = client.get("/permit-types/sip-tenaga-kesehatan").text
    for text in (
        "Gratis, tidak dipungut biaya",
        "Paling lama 5 hari kerja",
        "Surat keterangan sehat dari dokter",
        "SIP lama (Perpanjangan atau Perubahan)",
        "SIP pertama (Tempat praktik ke-: 2)",
        "Penandatanganan elektronik – Kepala Dinas",
        "Undang-Undang Nomor 17 Tahun 2023 tentang Kesehatan",
        'href="/applications/new?type=sip-tenaga-kesehatan"',
    ):
        assert text in page


@pytest.mark.parametrize("slug", ["reklame-tetap", "satuan-pendidikan-dasar", "sip-tenaga-kesehatan"])
def test_a_type_is_told_in_english_too(client: TestClient, slug: str) -> None:
    indonesian = client.get(f"/permit-types/{slug}?lang=id").text
    english = client.get(f"/permit-types/{slug}?lang=en").text
    words = ["Dokumen yang perlu disiapkan", "Masa berlaku", "Alur permohonan", "hari kerja", "Dasar hukum"]
    assert all(word in indonesian for word in words)
    assert not any(word in english for word in words)
    assert "Documents to have ready" in english


@pytest.mark.parametrize("slug", ["tidak-ada", "surat-keterangan-penelitian"])
def test_what_is_not_offered_is_not_found(client: TestClient, slug: str) -> None:
    assert client.get(f"/permit-types/{slug}").status_code == 404
