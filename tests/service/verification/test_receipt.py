"""Verification receipts: what they state, that they verify, and that none passes for a permit."""

import base64
import io
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import cases
import pikepdf
import pytest
import time_machine
from factories import actor_of, let_forms_pass, pdf_file
from fastapi import FastAPI
from fastapi.testclient import TestClient
from postgres import require
from receipts import SCHEMA_VALIDATOR, stated
from sqlalchemy import Engine, delete

from keys.software import SoftwareKeyStore
from service.accounts.models import User
from service.database import reading, transaction
from service.permits.models import Permit
from service.permits.revoke import suspend_permit
from service.pki.models import RevocationList
from service.pki.publish import publish_revocation_lists
from service.transparency.merkle import leaf_hash, verify_inclusion
from service.verification.intake import RECEIPTS
from service.verification.receipt import SCHEMA, SCHEMA_PATH
from service.verification.receipt_pages import LIFETIME
from service.verification.sandbox import Sandbox
from service.verification.verify import Reader, Verdict, verify_file
from signing.sign import sign_document
from signing.statement import seal_statement

FILE_RECEIPT = "/api/v1/verifications/receipt"
FULL_NAME, MASKED = "Siti Contoh, A.Md.Keb.", "S*** C****** A********"
FACTS = {"number", "status", "holder"}


@pytest.fixture(autouse=True)
def moment(engine: Engine, key_folder: Path, now: datetime) -> Iterator[datetime]:
    """A moment after the issuance, at which the register knows the seal."""
    publish_revocation_lists(engine, SoftwareKeyStore(key_folder), cases.OPERATIONS_PASSPHRASE, now)
    with time_machine.travel(now + timedelta(minutes=5), tick=True):
        yield now + timedelta(minutes=5)


def upload(data: bytes) -> dict[str, tuple[str, bytes]]:
    return {"file": ("berkas", data)}


def verify(client: TestClient, data: bytes, report: str = "simple") -> dict[str, Any]:
    answer = client.post("/api/v1/verifications", files=upload(data), params={"report": report})
    assert answer.status_code == 200
    body: dict[str, Any] = answer.json()
    return body


def attached(pdf: bytes) -> dict[str, object]:
    with pikepdf.open(io.BytesIO(pdf)) as document:
        found: dict[str, object] = json.loads(document.attachments["receipt.json"].get_file().read_bytes())
        return found


def test_a_receipt_of_a_file_states_what_was_answered(client: TestClient, issued: cases.Issued) -> None:
    altered = issued.pdf + b"\n"
    for pdf, verdict, holder in (
        (issued.pdf, "genuine", FULL_NAME),
        (altered, "altered", MASKED),
        (pdf_file(), "unknown", None),
    ):
        answer = client.post(FILE_RECEIPT, files=upload(pdf), params={"form": "json"})
        assert answer.status_code == 200
        statement = stated(answer.content)
        shown = verify(client, pdf, report="detailed")
        assert statement["verdict"] == verdict
        assert (statement["permit"] or {}).get("holder") == holder
        assert (statement["permit"], statement["reasons"]) == (shown["permit"], shown["reasons"])
        assert statement["policy"] == {name: shown["policy"][name] for name in ("name", "version", "sha256")}


def test_pdf_and_json_state_the_same_and_both_are_receipts_of_ours(
    client: TestClient, issued: cases.Issued
) -> None:
    place = f"/api/v1/permits/{issued.permit.code}/receipt"
    with time_machine.travel(datetime.fromisoformat("2026-11-23T04:00:00+00:00"), tick=False):
        pdf, file = (client.post(place, params={"form": form}).content for form in ("pdf", "json"))
    statement = stated(file)
    assert attached(pdf) == statement
    for receipt in (pdf, file):
        answer = verify(client, receipt)
        assert (answer["verdict"], answer["permit"], answer["signature"]) == ("receipt", None, None)
        assert answer["receipt"] == statement


def test_a_receipt_answers_for_a_day(engine: Engine, client: TestClient, issued: cases.Issued) -> None:
    with transaction(engine) as session:
        permit = session.get_one(Permit, issued.permit.id)
        head = actor_of(session, session.get_one(User, permit.signer_id))
        since = datetime.fromisoformat("2026-11-25T03:00:00+00:00")
        suspend_permit(session, permit.id, reason_code="sanction", remark="Uji", actor=head, now=since)
    place, found = f"/api/v1/permits/{issued.permit.code}/receipt", []
    with time_machine.travel(since + timedelta(days=2), tick=True):
        for on in ("2026-11-24", "2026-11-26"):
            statement = stated(client.post(place, params={"form": "json", "on": on}).content)
            found.append((statement["asked"]["on"], statement["permit"]["status"]))
    assert found == [("2026-11-24", "active"), ("2026-11-26", "suspended")]


def test_no_seal_speaks_of_a_day_to_come(client: TestClient, issued: cases.Issued) -> None:
    place, code = f"/api/v1/permits/{issued.permit.code}/receipt", issued.permit.code
    statuses = [client.post(place, params={"on": f"2026-11-{day}"}).status_code for day in (22, 23, 24)]
    assert statuses == [200, 200, 422]
    let_forms_pass(client)
    pages = [client.get(f"/v/{code}?on-day={day}&on-month=11&on-year=2026").text for day in (23, 24)]
    assert ["/receipt" in page for page in pages] == [True, False]


def test_a_receipt_proves_the_logs_entries(client: TestClient, issued: cases.Issued) -> None:
    place = f"/api/v1/permits/{issued.permit.code}/receipt"
    statement = stated(client.post(place, params={"form": "json"}).content)
    _, size, root, *_ = statement["log"]["checkpoint"].split("\n")
    assert statement["log"]["entries"]
    for entry in statement["log"]["entries"]:
        leaf, path = leaf_hash(entry["leaf"].encode()), [bytes.fromhex(each) for each in entry["path"]]
        assert verify_inclusion(leaf, entry["index"], int(size), path, base64.b64decode(root))


# Its form ------------------------------------------------------------------------------------------


def test_the_schema_is_published(client: TestClient) -> None:
    answer = client.get(SCHEMA_PATH)
    assert answer.headers["content-type"] == "application/schema+json"
    assert "immutable" in answer.headers["cache-control"]
    assert answer.json() == json.loads(SCHEMA.read_text())
    assert answer.json()["$id"] == SCHEMA_PATH
    SCHEMA_VALIDATOR.check_schema(answer.json())


def test_the_schema_refuses_other_statements(client: TestClient, issued: cases.Issued) -> None:
    place = f"/api/v1/permits/{issued.permit.code}/receipt"
    statement = stated(client.post(place, params={"form": "json"}).content)
    for change in (
        {"asker": "203.0.113.7"},
        {"verdict": "undecided"},
        {"verdict": "batch"},
        {"lines": []},
        {"asked": {}},
        {"asked": {"code": "0" * 26, "number": "1", "issued_on": "2026-11-23"}},
        {"asked": {"number": "1"}},
        {"asked": {"batch_sha256": "0" * 64}},
        {"checked_at": "23 November 2026"},
        {"permit": {}},
    ):
        assert not SCHEMA_VALIDATOR.is_valid(statement | change), change
    assert not any(
        SCHEMA_VALIDATOR.is_valid({key: statement[key] for key in statement if key != left})
        for left in statement
    )


# Never a permit -----------------------------------------------------------------------------------


def test_no_changed_receipt_is_one_of_ours(client: TestClient, issued: cases.Issued) -> None:
    place = f"/api/v1/permits/{issued.permit.code}/receipt"
    pdf, file = (client.post(place, params={"form": form}).content for form in ("pdf", "json"))
    changed = [pdf + b"\n", pdf.replace(b"Bukti", b"Bukto", 1), file.replace(b"active", b"actife")]
    for receipt in changed:
        assert receipt not in (pdf, file)
        assert verify(client, receipt)["verdict"] == "unknown"


def test_what_another_key_signs_is_no_receipt(
    client: TestClient, issued: cases.Issued, key_folder: Path, moment: datetime
) -> None:
    place = f"/api/v1/permits/{issued.permit.code}/receipt"
    file = client.post(place, params={"form": "json"}).content
    statement = stated(file)
    official = SoftwareKeyStore(key_folder).open_key("official-head", cases.OFFICIAL_PASSPHRASE, now=moment)
    forged = seal_statement(statement, official, signed_at=moment, timestamper=None)
    assert verify(client, forged)["verdict"] == "unknown"


def test_what_else_the_seal_signs_is_neither_receipt_nor_permit(
    app: FastAPI, client: TestClient, issued: cases.Issued, moment: datetime
) -> None:
    seal = app.state.operations_keys.seal
    statement = {"kind": "verification_receipt", "v": 1, "verdict": "genuine"}
    sealed = seal_statement(statement, seal, signed_at=moment, timestamper=None)
    pdf = sign_document(pdf_file(), seal, signed_at=moment, timestamper=None)
    assert [verify(client, each)["verdict"] for each in (sealed, pdf)] == ["unknown", "unknown"]


def test_a_receipt_whose_seal_has_ended_is_undecided_and_a_time_stamped_one_holds(
    app: FastAPI, engine: Engine, sandbox: Sandbox, client: TestClient, issued: cases.Issued, moment: datetime
) -> None:
    place = f"/api/v1/permits/{issued.permit.code}/receipt"
    stamped = client.post(place, params={"form": "json"}).content
    statement = stated(stamped)
    bare = seal_statement(statement, app.state.operations_keys.seal, signed_at=moment, timestamper=None)
    later, verdicts = moment + timedelta(days=3 * 365), []
    with transaction(engine) as session:
        # Without lists, revocation is not judged: theirs would have to be signed anew for a day so late.
        session.exec(delete(RevocationList))
    with reading(engine) as session:
        for receipt in (stamped, bare):
            found = verify_file(
                session, sandbox, receipt, now=later, reader=Reader("id", "http://testserver")
            )
            verdicts.append(found.verdict)
    assert verdicts == [Verdict.RECEIPT, Verdict.UNDECIDED]


# The doors ----------------------------------------------------------------------------------------


def test_there_is_no_receipt_of_what_is_not_certain(client: TestClient, issued: cases.Issued) -> None:
    receipt = client.post(f"/api/v1/permits/{issued.permit.code}/receipt").content
    for data in (b"%PDF-1.7 rubbish", receipt):
        answer = client.post(FILE_RECEIPT, files=upload(data))
        assert (answer.status_code, answer.json()["code"]) == (409, "no_receipt")
    assert client.post("/api/v1/permits/" + "0" * 26 + "/receipt").status_code == 404


CARRIED = re.compile(r'name="carried" value="([^"]+)"')


def test_the_page_of_a_file_gives_its_receipt_for_an_hour(
    client: TestClient, issued: cases.Issued, moment: datetime
) -> None:
    let_forms_pass(client)
    page = client.post("/verify", files=upload(issued.pdf)).text
    (carried,) = CARRIED.findall(page)
    form = {"carried": carried, "form": "json"}
    statement = stated(client.post("/verify/receipt", data=form).content)
    assert (statement["verdict"], statement["permit"]["holder"]) == ("genuine", FULL_NAME)
    assert client.post("/verify/receipt", data=form | {"carried": carried + "x"}).status_code == 404
    with time_machine.travel(moment + LIFETIME + timedelta(minutes=1)):
        assert client.post("/verify/receipt", data=form).status_code == 404
    assert CARRIED.findall(client.post("/verify", files=upload(b"%PDF-1.7 rubbish")).text) == []


def test_who_asked_by_number_is_not_told_the_code(client: TestClient, issued: cases.Issued) -> None:
    let_forms_pass(client)
    day = {"issued_on-day": "23", "issued_on-month": "11", "issued_on-year": "2026"}
    form = {"number": issued.permit.number, **day, "form": "json"}
    receipt = client.post("/verify/number/receipt", data=form)
    statement = stated(receipt.content)
    assert statement["asked"] == {"number": issued.permit.number, "issued_on": "2026-11-23"}
    assert issued.permit.code not in receipt.text
    assert client.post("/verify/number/receipt", data=form | {"issued_on-day": "22"}).status_code == 404


def test_the_page_says_that_a_receipt_is_no_permit(client: TestClient, issued: cases.Issued) -> None:
    let_forms_pass(client)
    for form in ("pdf", "json"):
        receipt = client.post(f"/v/{issued.permit.code}/receipt", data={"form": form})
        assert receipt.headers["content-disposition"].endswith(f'.{form}"')
        page = client.post("/verify", files=upload(receipt.content)).text
        assert "Bukti pemeriksaan, bukan izin" in page
        assert "canting-verdict--genuine" not in page
        etsi = client.post("/api/v1/verifications", files=upload(receipt.content), params={"report": "etsi"})
        assert etsi.headers["content-type"] == "application/xml"


def test_a_flood_of_receipts_is_refused(client: TestClient, issued: cases.Issued) -> None:
    place = "/api/v1/permits/" + "0" * 26 + "/receipt"
    statuses = [client.post(place).status_code for _ in range(RECEIPTS.amount + 1)]
    assert statuses == [404] * RECEIPTS.amount + [429]


def test_openssl_and_poppler_accept_what_the_seal_signed(
    client: TestClient, issued: cases.Issued, key_folder: Path, tmp_path: Path, moment: datetime
) -> None:
    require(shutil.which("pdfsig"), "pdfsig (poppler-utils) is not installed")
    place = f"/api/v1/permits/{issued.permit.code}/receipt"
    (tmp_path / "receipt.pdf").write_bytes(client.post(place).content)
    said = subprocess.run(
        ["pdfsig", "-nocert", "receipt.pdf"], cwd=tmp_path, capture_output=True, text=True
    ).stdout
    assert "Signature is Valid" in said
    assert "Total document signed" in said
    file = json.loads(client.post(place, params={"form": "json"}).content)
    script = (
        "import json,sys,base64;f=json.load(open('receipt.json'));"
        "open('content','w').write(json.dumps(f['statement'],ensure_ascii=False,sort_keys=True,"
        "separators=(',',':')));open('cms','wb').write(base64.b64decode(f['signature']))"
    )
    (tmp_path / "receipt.json").write_text(json.dumps(file))
    subprocess.run(["python3", "-c", script], cwd=tmp_path, check=True)
    root = next(key_folder.glob("root*.pem"))
    command = ["openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", "cms", "-content", "content"]
    command += [
        "-CAfile",
        str(root),
        "-purpose",
        "any",
        "-out",
        "out",
        "-attime",
        str(int(moment.timestamp())),
    ]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert "erification successful" in result.stderr


def test_no_receipt_and_no_comparison_waits_for_a_writer(
    engine: Engine, client: TestClient, issued: cases.Issued
) -> None:
    place = f"/api/v1/permits/{issued.permit.code}"
    with transaction(engine):
        assert client.post(f"{place}/receipt").status_code == 200
        assert client.post(f"{place}/comparison", json={"holder": "Siti Contoh"}).status_code == 200
