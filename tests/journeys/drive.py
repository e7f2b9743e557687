"""Drive one permit from registration to verification, over HTTP, against a fresh service.

`make journey` runs this file. It prints every step with its time and leaves `permit.pdf`,
`altered.pdf` and `root.pem` in `var/journey`. The operator makes the first administrator, the keys and
the catalogue at the command line; everything else happens in browsers.
"""

import argparse
import json
import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyotp
from browser import Browser
from house import ROOT, House, Mailbox, link_in, mail_server
from outside import check_outside
from papers import alter, photograph, scan

TYPE = "sip-tenaga-kesehatan"
PASSWORD = "perahu kertas di kali Loji"
PASSPHRASE = "tujuh canting tembaga"
CUSTODIANS = {"custodian-satu": "sandi pemegang satu", "custodian-dua": "sandi pemegang dua"}
MANDATE = (
    "--capacity", "definitive", "--from", "2026-01-01",
    "--basis", "Keputusan Wali Kota Contoh Nomor 821.2/001 Tahun 2025",
)  # fmt: skip
ADMINISTRATOR = "admin@kota.contoh.id"
CITIZEN = "siti@warga.contoh.id"
OFFICERS: dict[str, dict[str, str]] = {
    "front_office": {"full_name": "Rahmat Contoh"},
    "back_office": {"full_name": "Dewi Contoh, S.H."},
    "technical_agency": {"full_name": "dr. Yusuf Contoh", "agency": "Dinas Kesehatan"},
    "licensing_analyst": {"full_name": "Laras Contoh, S.A.P."},
    "division_head": {"full_name": "Hadi Contoh, M.Si."},
    "department_head": {
        "full_name": "Ratna Contoh, S.H., M.M.",
        "position": "Kepala Dinas Penanaman Modal dan Pelayanan Terpadu Satu Pintu",
        "rank": "Pembina Utama Muda (IV/c)",
        "nip": "197001011995032000",
    },
}
SECTIONS: dict[str, dict[str, str]] = {
    "person": {
        "nik": "3375014708900000", "full_name": "Siti Contoh Rahmawati, S.Tr.Keb.",
        "birth_place": "Pekalongan", "birth_date-day": "7", "birth_date-month": "8",
        "birth_date-year": "1990", "sex": "P", "address": "Jalan Contoh Kenanga Nomor 7 RT 01 RW 04",
        "village": "33.75.01.1002", "phone": "0812 3456 7890", "email": CITIZEN,
    },
    "registration": {"str_number": "BB00000000000002", "str_lifetime": "yes"},
    "practice": {
        "profession": "bidan", "practice_order": "1", "practice_kind": "fasilitas_kesehatan",
        "practice_name": "Klinik Contoh", "practice_address": "Jalan Contoh Batik Nomor 1",
        "practice_village": "33.75.01.1002",
    },
}  # fmt: skip
MENDED_NAME = "Klinik Pratama Contoh Sehat"


class Clock:
    """Prints each step with the milliseconds it took."""

    def __init__(self) -> None:
        self.started = time.perf_counter()
        self.count = 0

    @contextmanager
    def step(self, text: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self.count += 1
        print(f"{self.count:3}  {(time.perf_counter() - began) * 1000:8.1f} ms  {text}", flush=True)

    def finish(self) -> None:
        print(f"     {time.perf_counter() - self.started:8.1f} s   {self.count} steps")


@dataclass
class Journey:
    """Everybody who takes part, each with a browser of their own."""

    house: House
    mailbox: Mailbox
    clock: Clock
    output: Path
    people: dict[str, Browser]
    application: str = ""

    def case(self, role: str) -> Browser:
        """Have an officer open the case, from the work queue as they would."""
        browser = self.people[role]
        queue = browser.open("/officer")
        assert f"/officer/cases/{self.application}" in queue.text, f"{role} does not see the case"
        browser.open(f"/officer/cases/{self.application}")
        return browser

    def act(self, role: str, action: str, **values: Any) -> None:
        browser = self.case(role)
        address = f"/officer/cases/{self.application}/actions/{action}"
        assert address in browser.page.text, f"{role} is not offered {action}"
        browser.open(address)
        browser.submit(f"/actions/{action}", values)
        assert browser.page.path.endswith("/done"), browser.page.text

    def uploads(self, key: str, name: str, data: bytes, media_type: str) -> None:
        citizen = self.people["citizen"]
        citizen.submit(f"/documents/{key}", files={"file": (name, data, media_type)})
        assert "/remove" in citizen.page.text


# The house ----------------------------------------------------------------------------------------


def open_house(house: House, clock: Clock) -> None:
    """What the operator does once, at the command line."""
    with clock.step("operator: database upgrade"):
        house.command("database", "upgrade")
    with clock.step("operator: catalogue load"):
        house.command("catalogue", "load")
    with clock.step("operator: keys ceremony"):
        house.hold_ceremony({"root": "akar tunggang beringin kembar", **CUSTODIANS})
    with clock.step("operator: admin create"):
        house.command("admin", "create", ADMINISTRATOR, "--name", "Admin Contoh", secret=PASSWORD)


def staff_house(journey: Journey) -> None:
    """The administrator creates the officers; each sets a password and a second factor."""
    clock = journey.clock
    admin = Browser(journey.house.base_url)
    with clock.step("administrator signs in and sets up the second factor"):
        first_sign_in(admin, ADMINISTRATOR)
    for role, details in OFFICERS.items():
        email = f"{role.replace('_', '.')}@kota.contoh.id"
        officer = journey.people[role] = Browser(journey.house.base_url)
        with clock.step(f"{role}: created, invited by mail, password, second factor"):
            admin.open("/admin/officers/new")
            admin.submit("/admin/officers/new", {**details, "roles": [role], "email": email})
            letter = journey.mailbox.wait_for(email, "Akun petugas")
            officer.open(link_in(letter, "reset-password"))
            officer.submit(officer.page.path, {"new_password": PASSWORD})
            first_sign_in(officer, email)
    with clock.step("operator: keys enrol"):
        two = [part for name in CUSTODIANS for part in ("--custodian", name)]
        secret = "\n".join([*CUSTODIANS.values(), PASSPHRASE])
        journey.house.command("keys", "enrol", "department.head@kota.contoh.id", *two, secret=secret)
    with clock.step("operator: mandate grant"):
        journey.house.command("mandate", "grant", "department.head@kota.contoh.id", *MANDATE)


def first_sign_in(browser: Browser, email: str) -> None:
    """Sign in with a password and enrol TOTP, which every officer must."""
    browser.open("/sign-in")
    browser.submit("/sign-in", {"email": email, "password": PASSWORD})
    assert browser.page.path == "/account/second-factor", browser.page.path
    browser.submit("/second-factor/begin")
    found = re.search(r'<code class="canting-digest">([A-Z2-7 ]+)</code>', browser.page.text)
    assert found is not None, browser.page.text
    browser.submit("/second-factor/confirm", {"code": pyotp.TOTP(found[1].replace(" ", "")).now()})
    browser.open("/officer")


# The application ----------------------------------------------------------------------------------


def register(journey: Journey) -> None:
    clock = journey.clock
    citizen = journey.people["citizen"] = Browser(journey.house.base_url)
    with clock.step("citizen registers"):
        citizen.open("/register")
        citizen.submit(
            "/register",
            {"full_name": "Siti Contoh", "email": CITIZEN, "password": PASSWORD, "consent": "yes"},
        )
    with clock.step("citizen confirms by the mailed link"):
        letter = journey.mailbox.wait_for(CITIZEN, "Konfirmasi")
        citizen.open(link_in(letter, "confirm-email"))
        citizen.submit(citizen.page.path)
    with clock.step("citizen signs in"):
        citizen.submit("/sign-in", {"email": CITIZEN, "password": PASSWORD})
        assert citizen.page.path == "/applications"


def apply(journey: Journey) -> None:
    clock, citizen = journey.clock, journey.people["citizen"]
    with clock.step(f"citizen finds {TYPE} and starts an application"):
        assert TYPE in citizen.open("/permit-types").text
        citizen.open(f"/permit-types/{TYPE}")
        citizen.open(f"/applications/new?type={TYPE}")
        citizen.submit("/applications/new", {"request": "new"})
        journey.application = citizen.page.path.rpartition("/")[2]
    base = f"/applications/{journey.application}"
    for key, answers in SECTIONS.items():
        with clock.step(f"citizen fills in: {key}"):
            citizen.open(f"{base}/sections/{key}")
            citizen.submit(f"/sections/{key}", answers)
    assert citizen.page.path == f"{base}/documents", citizen.page.path
    for key in re.findall(rf'action="{base}/documents/([a-z_]+)"', citizen.page.text):
        if key in {"first_sip", "sppl", "old_permit", "skp_proof"}:
            continue  # Needed only for a second practice, one's own, or a renewal.
        is_photo = key == "photo"
        data = photograph() if is_photo else scan(key)
        with clock.step(f"citizen uploads: {key} ({len(data):,} bytes)"):
            kind = ("jpg", "image/jpeg") if is_photo else ("pdf", "application/pdf")
            journey.uploads(key, f"{key}.{kind[0]}", data, kind[1])
    with clock.step("citizen checks the answers, declares and submits"):
        citizen.open(f"{base}/check")
        citizen.submit("/check", {"truth_declared": "yes"})
        assert citizen.page.path == f"{base}/submitted"
        assert re.search(r"P-\d{8}-[0-9A-Z]{6}", citizen.page.text)
    with clock.step("citizen gets the receipt by mail"):
        assert re.search(r"P-\d{8}-[0-9A-Z]{6}", journey.mailbox.wait_for(CITIZEN, "telah kami terima"))


# The review ---------------------------------------------------------------------------------------


def review(journey: Journey) -> None:
    clock = journey.clock
    with clock.step("front office returns it: one field and one document"):
        journey.act(
            "front_office",
            "return_for_completion",
            **{
                "ask": ["field:practice_name", "document:str"],
                "remark:field:practice_name": "Tulis nama fasilitas seperti pada izinnya.",
                "remark:document:str": "Pindai terpotong; pindai seluruh halaman.",
            },
        )
    correct(journey)
    for role, action, values in (
        ("front_office", "forward", {}),
        ("back_office", "forward", {}),
        ("technical_agency", "recommend", {"note": "Memenuhi standar. Direkomendasikan."}),
        ("back_office", "forward", {}),
        ("licensing_analyst", "initial", {}),
        ("division_head", "initial", {}),
    ):
        with clock.step(f"{role}: {action}"):
            journey.act(role, action, **values)


def correct(journey: Journey) -> None:
    citizen = journey.people["citizen"]
    with journey.clock.step("citizen is told by mail, and corrects exactly these"):
        letter = journey.mailbox.wait_for(CITIZEN, "perbaiki")
        citizen.open(link_in(letter, "applications"))
        base = f"/applications/{journey.application}"
        citizen.open(f"{base}/correct")
        assert re.findall(rf'action="{base}/documents/([a-z_]+)"', citizen.page.text) == ["str"], (
            citizen.page.text
        )
        journey.uploads("str", "str-lengkap.pdf", scan("str, seluruh halaman"), "application/pdf")
        citizen.open(f"{base}/correct/fields")
        form = citizen.page.form("/correct/fields")
        assert set(form.values) == {"csrf_token", "practice_name"}, set(form.values)
        citizen.submit("/correct/fields", {"practice_name": MENDED_NAME})
        citizen.submit("/correct")
        assert citizen.page.path == f"{base}/track"


# The signature and the permit -----------------------------------------------------------------------


def sign(journey: Journey) -> None:
    clock, head = journey.clock, journey.people["department_head"]
    with clock.step("department head opens the document"):
        assert journey.application in head.open("/sign").text
        head.open(f"/sign/{journey.application}")
        digest = head.page.form(f"/sign/{journey.application}").values["digest"][0]
        preview = head.download(f"/officer/cases/{journey.application}/preview.pdf")
        assert preview.startswith(b"%PDF-")
    with clock.step("department head types a wrong passphrase: refused, nothing changed"):
        page = head.submit(f"/sign/{journey.application}", {"passphrase": "bukan frasa itu"}, expect=422)
        assert "Frasa sandi salah" in page.text
        assert "bukan frasa itu" not in page.text
        assert page.form(f"/sign/{journey.application}").values["digest"] == [digest]
    with clock.step("department head signs"):
        head.submit(f"/sign/{journey.application}", {"passphrase": PASSPHRASE})
        assert "/0001/" in head.page.text, head.page.text


def receive(journey: Journey) -> bytes:
    citizen = journey.people["citizen"]
    with journey.clock.step("citizen gets the mail and downloads the permit"):
        letter = journey.mailbox.wait_for(CITIZEN, "terbit")
        page = citizen.open(link_in(letter, "permits"))
        permit = citizen.download(f"{page.path}/document")
        assert permit.startswith(b"%PDF-")
    return permit


def verify(journey: Journey, permit: bytes) -> None:
    anyone = Browser(journey.house.base_url)
    files = {"permit.pdf": permit, "altered.pdf": alter(permit), "root.pem": anyone.download("/pki/root.pem")}
    journey.output.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (journey.output / name).write_bytes(data)
    other = scan("Surat lain")
    for name, data, expected in (
        ("permit.pdf", permit, "genuine"),
        ("altered.pdf", files["altered.pdf"], "altered"),
        ("another PDF", other, "unknown"),
    ):
        with journey.clock.step(f"anyone verifies {name}: {expected}"):
            answer = anyone.client.post("/api/v1/verifications", files={"file": (name, data)})
            told = answer.json()
            assert answer.status_code == 200, told
            assert told["verdict"] == expected, json.dumps(told, indent=2)
            if expected == "genuine":
                assert told["signature"]["indication"] == "TOTAL-PASSED", told
                assert told["permit"]["status"] == "active", told
    with journey.clock.step("programmes of others verify permit.pdf with root.pem"):
        accepted = check_outside(journey.output / "permit.pdf", journey.output / "root.pem")
    print(f"     accepted by: {'; '.join(accepted)}")


def drive(output: Path) -> None:
    """Run the whole journey. Raises AssertionError at the first step that goes wrong."""
    clock = Clock()
    with tempfile.TemporaryDirectory(prefix="canting-") as data, mail_server() as (smtp_port, mailbox):
        house = House(Path(data), smtp_port)
        open_house(house, clock)
        with house.serving():
            journey = Journey(house, mailbox, clock, output, {})
            try:
                staff_house(journey)
                register(journey)
                apply(journey)
                review(journey)
                sign(journey)
                verify(journey, receive(journey))
            except AssertionError:
                print(house.log.read_text()[-6000:])
                raise
        with clock.step("operator: audit verify"):
            house.command("audit", "verify")
    clock.finish()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=ROOT / "var" / "journey")
    drive(parser.parse_args().output)
