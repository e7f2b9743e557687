"""The demonstration's own pages, and what the terminal says: accounts, codes, addresses, the outbox."""

from dataclasses import dataclass
from typing import Annotated

import pyotp
from fastapi import APIRouter, Request
from fastapi.responses import Response
from sqlmodel import col, select

from service.accounts.access import PUBLIC, ROLES, Actor, allow
from service.accounts.links import one_time_address
from service.catalogue.samples import sample_application
from service.clock import city_date, now
from service.config import Settings
from service.database import SessionDep
from service.demo.prepare import read_secrets
from service.demo.scene import demo_city
from service.mail import outbox
from service.permits.models import Permit, Status
from service.web import SettingsDep, language_of, render

router = APIRouter(prefix="/demo", include_in_schema=False)
Anyone = Annotated[Actor, allow(PUBLIC)]
CODE_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody whom a visitor may be."""

    email: str
    full_name: str
    part: str
    """The role, in the reader's language."""
    is_officer: bool


def accounts(language: str) -> list[Account]:
    """List the demonstration's accounts, citizens first."""
    city = demo_city()
    part = "Citizen" if language == "en" else "Warga"
    people = []
    for citizen in city.citizens:
        name = str(sample_application(citizen.sample, city_date(now())).values["full_name"])
        people.append(Account(citizen.email, name, part, is_officer=False))
    for officer in city.officers:
        role = ROLES[officer.roles[0]][language == "en"]
        name = f"{role} – {officer.agency}" if officer.agency else role
        people.append(Account(officer.email, officer.full_name, name, is_officer=True))
    return people


@router.get("")
def demo_page(request: Request, _actor: Anyone, session: SessionDep, settings: SettingsDep) -> Response:
    """Tell a visitor how to be anybody, with the code that is right now."""
    moment = now()
    totp = pyotp.TOTP(read_secrets(settings.data_folder)["totp_secret"])
    issued = session.exec(
        select(Permit).where(Permit.status != Status.ISSUING).order_by(col(Permit.created_at).desc())
    ).all()
    return render(
        request,
        "demo/accounts.html",
        accounts=accounts(language_of(request)),
        password=demo_city().password,
        passphrase=demo_city().passphrase,
        code=totp.at(moment),
        seconds_left=CODE_SECONDS - int(moment.timestamp()) % CODE_SECONDS,
        permits=issued[:12],
    )


@router.get("/outbox")
def outbox_page(request: Request, _actor: Anyone, session: SessionDep, settings: SettingsDep) -> Response:
    """Show the mails that a real installation would send, with their links working."""
    return render(request, "demo/outbox.html", mails=outbox(session, settings, one_time_address(settings)))


def describe_demo(settings: Settings) -> str:
    """Return the addresses and accounts for the terminal."""
    city = demo_city()
    rows = [(each.email, each.full_name, each.part) for each in accounts("id")]
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    table = "\n".join(f"  {mail:<{widths[0]}}  {name:<{widths[1]}}  {part}" for mail, name, part in rows)
    return f"""
  Canting – {settings.city_name} (peragaan / demonstration)

  Situs / site                    {settings.base_url}/
  Akun dan kode / accounts, codes {settings.base_url}/demo
  Kotak keluar / outbox           {settings.base_url}/demo/outbox
  Periksa izin / verify           {settings.base_url}/verify
  API                             {settings.base_url}/api/docs

{table}

  Kata sandi semua akun / everybody's password:       {city.password}
  Frasa sandi Kepala Dinas / the signer's passphrase: {city.passphrase}
  Kode petugas berganti tiap 30 detik / officers' codes: {settings.base_url}/demo

  Berhenti / stop: Ctrl+C
"""
