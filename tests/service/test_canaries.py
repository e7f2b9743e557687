"""Private values never stray: a case is brought through its whole life, and every place is searched.

Everybody's values are canaries, strings that stand nowhere else. Private ones must not reach the
public, other citizens or the logs; secrets must not be kept anywhere at all.
"""

import io
import logging
import re
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import asking
import cases
import pikepdf
import pyotp
import pytest
from factories import PASSWORD, TOTP_SECRET, jpeg_file, let_forms_pass, make_citizen, sign_in
from fastapi import FastAPI
from fastapi.testclient import TestClient
from searching import bytes_of_rows, files_below, found_in, kept_keys, keys_found_in
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError
from sqlmodel import select

from service import clock
from service.accounts.access import SESSION_COOKIE
from service.accounts.links import one_time_address
from service.applications import draft, review
from service.catalogue.forms import required_documents
from service.config import Settings
from service.database import transaction
from service.mail import MailMessage, compose
from service.openapi import api_routes
from service.permits import api as permits_api
from service.verification import verify

pytestmark = pytest.mark.slow

PRIVATE = {
    "nik": "3375014708900000",
    "birth_place": "Kanaribirthplace",
    "birth_date": "1990-08-07",
    "birth date in words": "7 Agustus 1990",
    "address": "Jalan Kanari Alamat 17",
    "phone": "+6281200011122",
    "email": "kanari.permohonan@contoh.invalid",
    "account's e-mail": "kanari.akun@contoh.invalid",
    "file name": "kanari-nama-berkas",
    "file": "KanariIsiBerkas",
    "officer's note": "KanariCatatanPetugas",
    "correction remark": "KanariPermintaanPerbaikan",
    "reason for rejection": "KanariAlasanPenolakan",
    "invalid value": "KanariNilaiSalah",
}
FULL_NAME = "Kanariwati Contoh Lengkap"
"""Masked for whoever has not the document."""

JOBS_AND_TRAIL = ("workflow_status", "audit_event")
"""Tables of the job queue and of the audit trail."""

NEW_PASSWORD = "kanari sandi pertama 4711"
WRONG_PASSWORD = "kanari sandi keliru 4712"
WRONG_PASSPHRASE = "kanari frasa keliru 4713"
VALUES = cases.VALUES | {
    key: PRIVATE[key] for key in ("nik", "birth_place", "birth_date", "address", "phone", "email")
}


@dataclass
class Life:
    """What happened: who heard what, what was logged, and which secrets were used."""

    app: FastAPI
    engine: Engine
    settings: Settings
    public: list[tuple[str, str, bytes]] = field(default_factory=list)
    """What visitors were answered: address, media type, and headers with body."""
    others: list[tuple[str, str, bytes]] = field(default_factory=list)
    own: list[tuple[str, str, bytes]] = field(default_factory=list)
    failures: list[tuple[str, str, bytes]] = field(default_factory=list)
    secrets: dict[str, str] = field(default_factory=dict)
    keys: dict[str, set[bytes]] = field(default_factory=dict)
    """How the private half of every key would look, by its name."""
    plaintexts: dict[str, bytes] = field(default_factory=dict)
    pdf: bytes = b""
    logged: str = ""


def answered(client: TestClient, method: str, address: str, **request: Any) -> tuple[str, str, bytes]:
    answer = client.request(method, address, **request)
    head = "\n".join(f"{name}: {value}" for name, value in answer.headers.items())
    return address, answer.headers.get("content-type", ""), head.encode() + b"\n\n" + answer.content


# The life ---------------------------------------------------------------------------------------


def scan(words: str) -> bytes:
    """A PDF whose page says the words, uncompressed."""
    pdf = pikepdf.new()
    page = pdf.add_blank_page()
    page.Contents = pdf.make_stream(f"BT ({words}) Tj ET".encode())
    file = io.BytesIO()
    pdf.save(file, compress_streams=False)
    return file.getvalue()


def json_of(answer: Any, status: int) -> Any:
    assert answer.status_code == status, answer.text
    return answer.json()


def register(life: Life, client: TestClient) -> None:
    """Register over the page, confirm by the mailed link, and sign in over the API, after failures."""
    let_forms_pass(client)
    form = {"full_name": FULL_NAME, "email": PRIVATE["account's e-mail"], "consent": "yes"}
    client.post("/register", data={**form, "password": FULL_NAME})
    assert client.post("/register", data={**form, "password": NEW_PASSWORD}).status_code == 303
    link = mailed_link(life, "/confirm-email/")
    life.secrets["confirmation link"] = link.rpartition("/")[2]
    assert client.post(link).status_code in {200, 303}
    body = {"email": PRIVATE["account's e-mail"], "password": WRONG_PASSWORD}
    assert client.post("/api/v1/sessions", json=body).status_code == 401
    signed_in = json_of(client.post("/api/v1/sessions", json=body | {"password": NEW_PASSWORD}), 201)
    client.headers["x-csrf-token"] = signed_in["csrf_token"]
    life.secrets["citizen's session"] = client.cookies[SESSION_COOKIE]
    until = str(clock.city_date(clock.now()) + timedelta(days=9))
    token = {"name": "Uji", "scopes": ["read", "apply"], "expires_on": until}
    life.secrets["API token"] = json_of(client.post("/api/v1/tokens", json=token), 201)["token"]


def mailed_link(life: Life, kind: str) -> str:
    """Read the one mail that holds a link of this kind."""
    address = one_time_address(life.settings)
    with transaction(life.engine) as session:
        letters = [compose(each, life.settings, address) for each in session.exec(select(MailMessage))]
    (link,) = re.findall(rf"{kind}\S+", "\n".join(letter.get_content() for letter in letters))
    return str(link)


def protect(life: Life, client: TestClient, email: str) -> None:
    """Set up a second factor on the pages, and ask for a link because of a forgotten password."""
    let_forms_pass(client)
    client.post("/account/second-factor/begin")
    shown = client.get("/account/second-factor").text
    (secret,) = re.findall(r'<code class="canting-digest">([A-Z2-7 ]+)</code>', shown)
    life.secrets["citizen's TOTP secret"] = secret.replace(" ", "")
    code = pyotp.TOTP(secret.replace(" ", "")).now()
    confirmed = client.post("/account/second-factor/confirm", data={"code": code})
    codes = re.findall(r'<code class="canting-digest">([^<]+)</code>', confirmed.text)
    assert len(codes) > 5
    for number, each in enumerate(codes):
        life.secrets |= {f"recovery code {number}": each, f"{number} as typed": each.replace("-", "")}
    client.cookies.delete(SESSION_COOKIE, domain="")
    life.secrets["session stepped up"] = client.cookies[SESSION_COOKIE]
    visitor = client_of(life.app)
    let_forms_pass(visitor)
    assert visitor.post("/forgot-password", data={"email": email}).status_code == 200
    life.secrets["reset link"] = mailed_link(life, "/reset-password/").rpartition("/")[2]


def apply(life: Life, city: cases.City, client: TestClient) -> str:
    """Fill in and submit an application over the API, with wrong values and files on the way."""
    start = {"type": cases.SLUG, "request": "new", "applicant_kind": "person"}
    base = "/api/v1/applications/" + json_of(client.post("/api/v1/applications", json=start), 201)["id"]
    wrong = {"values": {"nik": PRIVATE["invalid value"], "birth_date": PRIVATE["invalid value"]}}
    client.patch(f"{base}/sections/person", json=wrong)
    for section in city.permit_type.sections:
        keys = [item.key for item in section.fields if item.key in VALUES and item.key != "truth_declared"]
        if keys:
            body = {"values": {key: VALUES[key] for key in keys}}
            json_of(client.patch(f"{base}/sections/{section.key}", json=body), 200)
    junk = {"file": (f"{PRIVATE['file name']}.exe", PRIVATE["file"].encode(), "application/pdf")}
    assert client.post(f"{base}/documents", data={"requirement": "ktp"}, files=junk).status_code == 415
    for document in required_documents(city.permit_type, VALUES, "new", "person"):
        give(life, client, base, document.key, "jpg" if "pdf" not in document.accept else "pdf")
    json_of(client.post(f"{base}/submission", json={"declared": False}), 422)
    json_of(client.post(f"{base}/submission", json={"declared": True}), 201)
    return base.rpartition("/")[2]


def give(life: Life, client: TestClient, base: str, key: str, kind: str) -> None:
    data = jpeg_file() if kind == "jpg" else scan(f"{PRIVATE['file']} {key}")
    files = {"file": (f"{PRIVATE['file name']}-{key}.{kind}", data)}
    given = json_of(client.post(f"{base}/documents", data={"requirement": key}, files=files), 201)
    kept = client.get(f"{base}/documents/{given['id']}").content
    assert len(kept) > 200
    life.plaintexts[key] = kept


def review_case(life: Life, city: cases.City, citizen: TestClient, case_id: str) -> None:
    """Return the case once, have it corrected, and take it to the signature, a note at each step."""
    note = PRIVATE["officer's note"] + " untuk rekan"
    base = f"/api/v1/cases/{case_id}"
    front = officer(life, city, "front_office")
    item = {"kind": "field", "key": "practice_name", "remark": PRIVATE["correction remark"]}
    json_of(front.post(f"{base}/return", json={"asked": [item], "note": note}), 200)
    values = {"values": {"practice_name": "Puskesmas Contoh Mendatang"}}
    json_of(citizen.post(f"/api/v1/applications/{case_id}/corrections", json=values), 201)
    for _ in range(20):
        step = json_of(front.get(base), 200)["step"]
        role = city.permit_type.step(step).role
        if role == "department_head":
            return
        body = {"action": cases.APPROVING[role].value, "note": note}
        json_of(officer(life, city, role).post(f"{base}/actions", json=body), 200)
    raise AssertionError("the case never came to its signature")


def officer(life: Life, city: cases.City, role: str) -> TestClient:
    client = client_of(life.app)
    user = city.head if role == "department_head" else city.officers[role]
    sign_in(client, user)
    life.secrets[f"session of {role} {len(life.secrets)}"] = client.cookies[SESSION_COOKIE]
    return client


def sign(life: Life, city: cases.City, case_id: str) -> str:
    """Sign a case over the API, after a wrong passphrase; return the permit's public code."""
    head = officer(life, city, "department_head")
    base = f"/api/v1/cases/{case_id}"
    digest = json_of(head.get(f"{base}/document"), 200)["digest"]
    wrong = {"digest": digest, "passphrase": WRONG_PASSPHRASE}
    json_of(head.post(f"{base}/signature", json=wrong), 422)
    right = {"digest": digest, "passphrase": cases.OFFICIAL_PASSPHRASE}
    permit = json_of(head.post(f"{base}/signature", json=right), 201)
    life.pdf = life.pdf or head.get(f"/api/v1/permits/{permit['code']}/document").content
    return str(permit["code"])


def sign_in_with_second_factor(life: Life, city: cases.City) -> None:
    client = client_of(life.app)
    code = pyotp.TOTP(TOTP_SECRET).now()
    body = {"email": city.head.email, "password": PASSWORD, "code": code}
    json_of(client.post("/api/v1/sessions", json=body), 201)
    life.secrets["session opened with a code"] = client.cookies[SESSION_COOKIE]


def client_of(app: FastAPI) -> TestClient:
    return TestClient(app, raise_server_exceptions=False, follow_redirects=False)


# Faults -------------------------------------------------------------------------------------------


def raising(error: Exception) -> Callable[..., Any]:
    def fail(*_arguments: object, **_named: object) -> Any:
        raise error

    return fail


def provoke_faults(life: Life, city: cases.City, citizen: TestClient, case_id: str, code: str) -> None:
    """Let verbs fail with messages that quote every canary, as a driver's or a library's might."""
    everything = " ".join([*PRIVATE.values(), *life.secrets.values(), FULL_NAME])
    lost = OperationalError("INSERT INTO x VALUES (:nik)", {"nik": everything}, Exception(everything))
    head = officer(life, city, "department_head")
    values = {"values": {"nik": PRIVATE["nik"]}}
    order = {"digest": "0" * 64, "passphrase": cases.OFFICIAL_PASSPHRASE}
    base = f"/api/v1/applications/{case_id}"
    file = {"file": ("izin.pdf", life.pdf, "application/pdf")}
    for error in (RuntimeError(everything), lost, UnicodeEncodeError("utf-8", everything, 0, 1, everything)):
        with pytest.MonkeyPatch.context() as patch:
            for module, name in (
                (draft, "save_section"),
                (draft, "own_application"),
                (review, "take_case"),
                (permits_api, "signing_as"),
                (verify, "find_by_document"),
                (verify, "find_row_by_code"),
            ):
                patch.setattr(module, name, raising(error))
            life.failures += [
                answered(citizen, "PATCH", f"{base}/sections/person", json=values),
                answered(citizen, "GET", f"/applications/{case_id}"),
                answered(citizen, "GET", f"{base}/tracking"),
                answered(head, "POST", f"/api/v1/cases/{case_id}/taking", json={}),
                answered(head, "POST", f"/api/v1/cases/{case_id}/signature", json=order),
                answered(citizen, "POST", "/api/v1/verifications", files=file),
                answered(citizen, "GET", f"/v/{code}"),
            ]
    assert [answer[0] for answer in life.failures]


# Reading everything -------------------------------------------------------------------------------


def read_everything(
    app: FastAPI, client: TestClient, known: dict[str, str]
) -> Iterator[tuple[str, str, bytes]]:
    """What every GET route answers this person, its parameters filled in with what is known."""
    for route in api_routes(app.routes):
        if "GET" in (route.methods or ()):
            address = re.sub(r"\{(\w+)(?::\w+)?\}", lambda match: known.get(match[1], "x"), route.path)
            yield answered(client, "GET", address)


def read_as_public(life: Life, client: TestClient, known: dict[str, str], number: str, day: str) -> None:
    life.public += read_everything(life.app, client, known)
    for language in ("id", "en"):
        life.public.append(answered(client, "GET", f"/v/{known['code']}?lang={language}"))
    year, month, of_month = day.split("-")
    asked = {"number": number, "day": of_month, "month": month, "year": year}
    life.public.append(answered(client, "GET", "/verify/number", params=asked))
    life.public.append(answered(client, "POST", "/verify/number", data=asked))
    for data in (life.pdf, life.pdf + b"\n", b"%PDF-1.7", b"bukan pdf"):
        file = {"file": ("izin.pdf", data, "application/pdf")}
        life.others.append(answered(client, "POST", "/api/v1/verifications", files=file))
        life.others.append(answered(client, "POST", "/verify", files=file))
    for address in ("/tidak-ada", "/api/v1/tidak-ada", "/api/v1/permits/tidak-ada"):
        life.public.append(answered(client, "GET", address))


@pytest.fixture
def life(
    engine: Engine,
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> Life:
    caplog.set_level(logging.INFO)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr(tempfile, "tempdir", None)
    moment = clock.now() - timedelta(days=1)
    cases.make_keys(settings.effective_keys_folder, moment)
    app = asking.create_app(settings, engine)
    life = Life(app, engine, settings)
    passphrases = (*cases.PASSPHRASES.values(), cases.OFFICIAL_PASSPHRASE)
    life.keys = kept_keys(settings.effective_keys_folder, passphrases)
    with transaction(engine) as session:
        city = cases.make_city(session, moment, settings=settings)
        stranger = make_citizen(session, full_name="Orang Lain")
    life.secrets |= {
        "password": NEW_PASSWORD,
        "wrong password": WRONG_PASSWORD,
        "officers' password": PASSWORD,
        "passphrase": cases.OFFICIAL_PASSPHRASE,
        "wrong passphrase": WRONG_PASSPHRASE,
        "passphrase of the service's keys": cases.OPERATIONS_PASSPHRASE,
        "passphrase of the root": cases.ROOT_PASSPHRASE,
        **{f"passphrase of {name}": each for name, each in cases.CUSTODIANS.items()},
        "officers' TOTP secret": TOTP_SECRET,
        "wrapping key": settings.wrapping_keys.get_secret_value().partition(":")[2],
        "secret key": settings.secret_key.get_secret_value(),
        "private key": "PRIVATE KEY",
    }
    with TestClient(app, raise_server_exceptions=False, follow_redirects=False) as citizen:
        register(life, citizen)
        sign_in_with_second_factor(life, city)
        other = client_of(app)
        sign_in(other, stranger)
        life.secrets["stranger's session"] = other.cookies[SESSION_COOKIE]
        protect(life, other, stranger.email)
        case_id = apply(life, city, citizen)
        review_case(life, city, citizen, case_id)
        code = sign(life, city, case_id)
        with transaction(engine) as session:
            refused = cases.bring_to_signature(
                session, city, clock.now(), reasons=PRIVATE["reason for rejection"], **VALUES
            )
        letter = sign(life, city, str(refused.id))
        provoke_faults(life, city, citizen, case_id, code)
        given = citizen.get(f"/api/v1/applications/{case_id}").json()["documents"][0]["id"]
        permit = citizen.get(f"/api/v1/permits/{code}").json()
        known = {
            "application_id": case_id, "case_id": case_id, "document_id": given, "upload_id": given,
            "code": code, "slug": cases.SLUG, "section": "person", "name": "root", "key": "ktp",
        }  # fmt: skip
        visitor = client_of(app)
        read_as_public(life, visitor, known, permit["number"], permit["issued_on"])
        life.public += read_everything(
            app, visitor, known | {"code": letter, "application_id": str(refused.id)}
        )
        life.others += read_everything(app, other, known)
        life.own += read_everything(app, citizen, known)
    heard = capfd.readouterr()
    # The test's own browser logs the addresses it opens; the service is not to be blamed for those.
    told = [record.getMessage() for record in caplog.records if not record.name.startswith("httpx")]
    life.logged = "\n".join([heard.out, heard.err, *told])
    return life


# What must be nowhere -----------------------------------------------------------------------------


def test_private_values_never_stray(life: Life) -> None:
    """One life, searched everywhere: it takes seconds to live."""
    assert_reached(life)

    for address, media_type, answer in life.public:
        assert not found_in(answer, PRIVATE | {"full name": FULL_NAME, **life.secrets}), (address, media_type)
    for address, _, answer in life.others:
        assert not found_in(answer, PRIVATE | life.secrets), address
    for address, media_type, answer in life.failures:
        assert not found_in(answer, PRIVATE | life.secrets), (address, media_type, answer[-500:])
    for address, _, answer in life.own:
        assert not found_in(answer, {"officer's note": PRIVATE["officer's note"]} | life.secrets), address
    assert not found_in(life.logged, PRIVATE | life.secrets | {"full name": FULL_NAME})
    rows = list(bytes_of_rows(life.engine))
    for table, value in rows:
        assert not found_in(value, life.secrets), table
        if table.endswith(JOBS_AND_TRAIL):
            assert not found_in(value, PRIVATE), table
    assert {name for name in JOBS_AND_TRAIL if any(table.endswith(name) for table, _ in rows)} == set(
        JOBS_AND_TRAIL
    )
    files = files_below(life.settings.data_folder)
    assert len(files) > len(life.plaintexts)
    for path in files:
        kept = path.read_bytes()
        assert not any(plaintext[100:200] in kept for plaintext in life.plaintexts.values()), path
    for place, kept in everything_kept(life):
        assert not found_in(kept, life.secrets), place
        assert not keys_found_in(kept, life.keys), place


def everything_kept(life: Life) -> Iterator[tuple[str, bytes]]:
    """All that was said and logged, and the bytes of every row and file: the database's own files, with those
    of its journal, and whatever lies among temporary files."""
    yield "log", life.logged.encode()
    for address, _, answer in (*life.public, *life.others, *life.own, *life.failures):
        yield address, answer
    yield from bytes_of_rows(life.engine)
    database = life.engine.url.database or ""
    of_database = sorted(Path(database).parent.glob(Path(database).name + "*"))
    folders = (life.settings.data_folder, Path(tempfile.gettempdir()))
    for path in (*of_database, *(path for folder in folders for path in files_below(folder))):
        yield str(path), path.read_bytes()


def assert_reached(life: Life) -> None:
    """Without these the search would find nothing because nothing was there."""
    assert {"root", "issuing", "tsa", "log", "official-head"} <= set(life.keys)
    own = b"".join(answer for _, _, answer in life.own)
    shown = found_in(own, PRIVATE)
    assert {"nik", "address", "phone", "email", "file name", "account's e-mail"} <= shown, shown
    assert sum(answer.startswith(b"content-") for _, _, answer in life.failures) == len(life.failures)
