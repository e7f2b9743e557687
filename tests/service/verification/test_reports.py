"""Everything an answer rests on, each signature by itself, and what altered bytes derive from."""

import base64
import hashlib
import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import cases
import pytest
import structlog
import time_machine
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from factories import let_forms_pass
from fastapi.testclient import TestClient
from pki import make_pki
from signed_pages import one_page, sign_again
from sqlalchemy import Engine

from keys.hierarchy import load_trust_anchors
from keys.software import SoftwareKeyStore
from service.database import reading
from service.pki.publish import publish_revocation_lists
from service.verification.reports import detailed_answer
from service.verification.sandbox import Sandbox
from service.verification.verify import Reader, verify_file
from signing.policy import current_policy, state_policy

Reporting = Callable[[bytes], dict[str, Any]]
READER = Reader("id", "http://testserver")
NOW = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
STRANGER = make_pki()
"""Another agency: nothing of it is known here."""


@pytest.fixture
def at_noon() -> Iterator[None]:
    with time_machine.travel(NOW, tick=True):
        yield


@pytest.fixture
def report_on(engine: Engine, sandbox: Sandbox) -> Reporting:
    def report(pdf: bytes) -> dict[str, Any]:
        with reading(engine) as session:
            found = verify_file(session, sandbox, pdf, now=NOW, reader=READER, detailed=True)
        return detailed_answer(found).model_dump(mode="json")

    return report


def checks(reported: dict[str, Any]) -> dict[str, bool | None]:
    return {check["name"]: check["passed"] for check in reported["checks"]}


def test_a_detailed_report_names_every_check_of_a_genuine_document(
    report_on: Reporting, issued: cases.Issued, key_folder: Path
) -> None:
    body = report_on(issued.pdf)
    (signature,) = body["signatures"]

    assert body["verdict"] == "genuine"
    assert checks(body) == {"register": True, "signature": True, "log": True}
    assert body["sha256"] == hashlib.sha256(issued.pdf).hexdigest()
    assert (signature["ours"], signature["indication"], signature["process"]) == (
        True,
        "TOTAL-PASSED",
        "with_time",
    )
    assert checks(signature) == {
        **dict.fromkeys(
            (
                "format",
                "container",
                "coverage",
                "modifications",
                "certification",
                "signing_certificate",
                "algorithms",
                "integrity",
                "signature_value",
                "certificate_chain",
                "certificate_usage",
                "validity",
                "time_stamp",
            ),
            True,
        ),
        # No list was published yet, and nothing is archived.
        "revocation": None,
        "archive_time_stamps": None,
    }


def test_a_detailed_report_names_the_policy_and_the_chain_it_was_made_by(
    report_on: Reporting, issued: cases.Issued, key_folder: Path
) -> None:
    body = report_on(issued.pdf)
    anchors = load_trust_anchors(key_folder)
    stated = state_policy(current_policy(), anchors)

    assert body["policy"] == {
        "name": "canting-validation",
        "version": 1,
        "text": stated.text,
        "sha256": hashlib.sha256(stated.text.encode()).hexdigest(),
    }
    certificates = body["signatures"][0]["certificates"]
    assert [each["is_trust_anchor"] for each in certificates] == [False, False, True]
    assert certificates[-1]["sha256"] == anchors[0].fingerprint(SHA256()).hex()
    for each in certificates:
        der = base64.b64decode(each["der"])
        assert x509.load_der_x509_certificate(der).fingerprint(SHA256()).hex() == each["sha256"]


def test_a_report_tells_of_its_own_moment_and_is_not_remembered(
    engine: Engine, sandbox: Sandbox, issued: cases.Issued
) -> None:
    moments = [NOW, NOW + timedelta(minutes=1)]
    judged = []
    for moment in moments:
        with reading(engine) as session:
            found = verify_file(session, sandbox, issued.pdf, now=moment, reader=READER, detailed=True)
        (details,) = (each.details for each in found.signatures)
        assert details is not None
        judged.append(datetime.fromisoformat(details["judged_at"]))

    assert judged == moments


def test_the_first_bytes_of_an_altered_copy_are_its_registered_original(
    report_on: Reporting, issued: cases.Issued
) -> None:
    body = report_on(issued.pdf + b"\n% catatan\n")

    origin = body["origin"]
    assert (body["verdict"], origin["found_by"], origin["version"]) == ("altered", "revision", 1)
    assert origin["sha256"] == hashlib.sha256(issued.pdf[: origin["size"]]).hexdigest()
    assert origin["size"] == len(issued.pdf)
    assert "derived_by_revision" in body["reasons"]
    assert checks(body)["register"] is False


def test_a_copy_with_a_changed_byte_names_its_original_by_the_signature_alone(
    report_on: Reporting, issued: cases.Issued
) -> None:
    place = issued.pdf.index(b"stream") + 40
    altered = issued.pdf[:place] + bytes([issued.pdf[place] ^ 1]) + issued.pdf[place + 1 :]

    body = report_on(altered)

    assert (body["origin"]["found_by"], body["permit"]["holder"]) == ("signature", "S*** C****** A********")
    assert (body["signatures"][0]["ours"], checks(body["signatures"][0])["integrity"]) == (True, False)


def test_a_permit_that_somebody_countersigned_is_altered_and_each_signature_told(
    report_on: Reporting, issued: cases.Issued
) -> None:
    body = report_on(sign_again(issued.pdf, STRANGER.official, "Kedua"))

    ours, theirs = body["signatures"]
    assert (body["verdict"], body["origin"]["found_by"]) == ("altered", "revision")
    assert (ours["ours"], ours["indication"], checks(ours)["certification"]) == (True, "TOTAL-FAILED", False)
    assert (theirs["ours"], theirs["sub_indication"]) == (False, "NO_CERTIFICATE_CHAIN_FOUND")
    assert (theirs["field"], theirs["signer"]) == ("Kedua", "Kepala Dinas Contoh")


def test_another_agencys_document_is_unknown_and_its_signatures_are_told_one_by_one(
    report_on: Reporting, issued: cases.Issued
) -> None:
    once = sign_again(one_page(), STRANGER.official, "Pertama")
    body = report_on(sign_again(once, STRANGER.seal, "Kedua"))

    assert (body["verdict"], body["permit"], body["origin"]) == ("unknown", None, None)
    assert body["reasons"] == ["not_issued_here", "outside_signature"]
    assert [(each["ours"], each["signer"]) for each in body["signatures"]] == [
        (False, "Kepala Dinas Contoh"),
        (False, "Segel Elektronik (UJI)"),
    ]
    for each in body["signatures"]:
        told = checks(each)
        assert (told["integrity"], told["signature_value"], told["certificate_chain"]) == (True, True, False)


def test_a_valid_signature_that_nobody_registered_raises_an_alarm(
    report_on: Reporting, issued: cases.Issued, key_folder: Path
) -> None:
    signer = SoftwareKeyStore(key_folder).open_key("official-head", cases.OFFICIAL_PASSPHRASE, now=NOW)
    with structlog.testing.capture_logs() as logged:
        body = report_on(sign_again(one_page(), signer, "Tersendiri"))

    assert (body["verdict"], body["reasons"]) == ("unknown", ["not_issued_here", "signed_but_not_registered"])
    assert body["signatures"][0]["ours"] is False
    assert [line["sha256"] for line in logged if line["event"] == "signed_but_not_registered"] == [
        body["sha256"]
    ]


def test_what_the_seal_signed_is_no_permit_and_no_alarm(
    engine: Engine, report_on: Reporting, issued: cases.Issued, key_folder: Path
) -> None:
    store = SoftwareKeyStore(key_folder)
    publish_revocation_lists(engine, store, cases.OPERATIONS_PASSPHRASE, NOW)
    seal = store.open_key("seal", cases.OPERATIONS_PASSPHRASE, now=NOW)
    with structlog.testing.capture_logs() as logged:
        body = report_on(sign_again(one_page(), seal, "Segel"))

    assert (body["verdict"], body["reasons"]) == ("unknown", ["not_issued_here", "sealed_here"])
    assert logged == []


def test_what_cannot_be_read_has_a_report_without_signatures(
    report_on: Reporting, issued: cases.Issued
) -> None:
    body = report_on(b"%PDF-1.7 rubbish")

    assert (body["verdict"], body["signatures"], body["policy"]) == ("undecided", [], None)
    assert checks(body) == {"register": False, "signature": None, "log": None}


def test_the_api_tells_as_much_as_is_asked_for(
    client: TestClient, issued: cases.Issued, at_noon: None
) -> None:
    simple, detailed, unknown = (
        client.post(f"/api/v1/verifications{query}", files={"file": ("izin.pdf", issued.pdf)})
        for query in ("", "?report=detailed", "?report=short")
    )

    assert (simple.status_code, detailed.status_code, unknown.status_code) == (200, 200, 422)
    assert unknown.json()["code"] == "invalid_input"
    contract = {name: value for name, value in simple.json().items() if name != "checked_at"}
    assert contract.items() <= detailed.json().items()
    assert checks(detailed.json()["signatures"][0])["integrity"] is True


@pytest.mark.parametrize(
    ("readable", "indication"),
    [(True, "total-passed"), (False, "indeterminate")],
    ids=["a permit", "rubbish"],
)
def test_the_api_gives_the_etsi_report_whatever_the_file(
    client: TestClient, issued: cases.Issued, at_noon: None, readable: bool, indication: str
) -> None:
    pdf = issued.pdf if readable else b"%PDF-1.7 rubbish"
    answer = client.post("/api/v1/verifications?report=etsi", files={"file": ("izin.pdf", pdf)})

    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/xml")
    root = ElementTree.fromstring(answer.text)
    (found,) = root.iterfind("{*}SignatureValidationReport/{*}SignatureValidationStatus/{*}MainIndication")
    assert found.text == f"urn:etsi:019102:mainindication:{indication}"
    digest = root.find("{*}SignatureValidationObjects/{*}ValidationObject[@id='document']//{*}DigestValue")
    assert digest is not None
    assert base64.b64decode(str(digest.text)) == hashlib.sha256(pdf).digest()


# The page -----------------------------------------------------------------------------------------


@pytest.fixture
def page_of(client: TestClient, issued: cases.Issued, at_noon: None) -> Callable[[bytes], str]:
    let_forms_pass(client)
    return lambda pdf: client.post("/verify", files={"file": ("izin.pdf", pdf)}).text


def downloads(page: str) -> dict[str, bytes]:
    """Decode what a page gives to download, by the names of the files."""
    links = re.findall(r'href="data:[a-z/]+;base64,([^"]+)" download="([^"]+)"', page)
    return {name: base64.b64decode(content) for content, name in links}


def test_the_page_tells_each_check_and_gives_the_reports(
    page_of: Callable[[bytes], str], issued: cases.Issued
) -> None:
    page = page_of(issued.pdf)
    given = downloads(page)

    assert set(given) == {"laporan-pemeriksaan.json", "laporan-pemeriksaan.xml"}
    assert json.loads(given["laporan-pemeriksaan.json"])["verdict"] == "genuine"
    assert ElementTree.fromstring(given["laporan-pemeriksaan.xml"]).tag.endswith("}ValidationReport")
    assert "Isi berkas sama dengan yang ditandatangani" in page
    assert "<strong>Tidak lolos</strong>" not in page


def test_who_holds_the_original_within_an_altered_copy_can_take_it_out(
    page_of: Callable[[bytes], str], issued: cases.Issued
) -> None:
    page = page_of(sign_again(issued.pdf, STRANGER.official, "Kedua"))

    assert downloads(page)["surat-asli.pdf"] == issued.pdf
    assert "ditandatangani lagi oleh pihak lain" in page
    assert "Siti Contoh" not in page


def test_who_has_no_more_than_an_altered_copy_is_given_nothing(
    page_of: Callable[[bytes], str], issued: cases.Issued
) -> None:
    place = issued.pdf.index(b"stream") + 40
    altered = issued.pdf[:place] + bytes([issued.pdf[place] ^ 1]) + issued.pdf[place + 1 :]

    page = page_of(altered + b"\n")

    assert "surat-asli.pdf" not in downloads(page)
    assert "pihak lain" not in page


def test_outside_signatures_are_listed_without_vouching_for_them(
    page_of: Callable[[bytes], str],
) -> None:
    page = page_of(sign_again(one_page(), STRANGER.official, "Pertama"))

    assert "Bukan terbitan kami" in page
    assert "tidak menjaminnya" in page
    assert "<strong>Kepala Dinas Contoh</strong>" in page
    assert "bukan tanda tangan dari layanan ini" in page


def test_a_paper_of_the_seal_is_called_no_permit_and_no_stranger(
    engine: Engine, page_of: Callable[[bytes], str], key_folder: Path
) -> None:
    store = SoftwareKeyStore(key_folder)
    publish_revocation_lists(engine, store, cases.OPERATIONS_PASSPHRASE, NOW)
    seal = store.open_key("seal", cases.OPERATIONS_PASSPHRASE, now=NOW)

    page = page_of(sign_again(one_page(), seal, "Segel"))

    assert "Bukan surat izin" in page
    assert "disegel oleh layanan ini dan utuh" in page
    assert "Bukan terbitan kami" not in page
    assert "pihak lain" not in page
