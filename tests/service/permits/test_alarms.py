"""Administrators are told of every end in time, once a stage, and never in a flood."""

from datetime import date, datetime, timedelta
from pathlib import Path

import cases
import pytest
from factories import make_mandate, make_officer
from sqlalchemy import Engine
from sqlmodel import Session, col, select

from keys.software import SoftwareKeyStore
from service.accounts.models import User
from service.config import LOCAL_TSA, Settings
from service.database import transaction
from service.mail import MailMessage, compose
from service.permits.alarms import send_expiry_alarms
from service.permits.issue import Workshop
from service.permits.models import Capacity, Mandate
from service.pki.publish import publish_revocation_lists

DAY = timedelta(days=1)


@pytest.fixture
def keys(engine: Engine, tmp_path: Path, now: datetime) -> SoftwareKeyStore:
    keys = cases.make_keys(tmp_path / "keys", now)
    publish_revocation_lists(engine, keys, cases.OPERATIONS_PASSPHRASE, now)
    return keys


@pytest.fixture
def administrator(engine: Engine) -> User:
    with transaction(engine) as session:
        return make_officer(session, ["administrator"])


def alarm(engine: Engine, at: datetime) -> list[dict[str, str]]:
    """Run the daily job and return what the last mail told of."""
    with transaction(engine) as session:
        if not send_expiry_alarms(session, [LOCAL_TSA], at):
            return []
        mails = session.exec(select(MailMessage).order_by(col(MailMessage.created_at).desc()))
        told: list[dict[str, str]] = mails.first().context["endings"]  # type: ignore[union-attr]
        return told


def told_over(engine: Engine, begin: datetime, days: int) -> list[tuple[int, str, str]]:
    return [
        (day, each["name"], each["action"])
        for day in range(days)
        for each in alarm(engine, begin + day * DAY)
    ]


def test_each_stage_is_told_once_whatever_the_number_of_runs(
    engine: Engine, keys: SoftwareKeyStore, administrator: User
) -> None:
    end = keys.certificates("seal")[0].not_valid_after_utc
    begin = end - 200 * DAY
    told = [each for each in told_over(engine, begin, 203) if each[1] == "seal"]
    assert [day - 200 for day, _name, _action in told] == [-73, -30, -7, -1, 0]
    assert alarm(engine, begin + 202 * DAY) == []


def test_a_stage_that_no_run_saw_is_not_made_up(
    engine: Engine, keys: SoftwareKeyStore, administrator: User
) -> None:
    end = keys.certificates("seal")[0].not_valid_after_utc
    (told,) = (each for each in alarm(engine, end - 5 * DAY) if each["name"] == "seal")
    assert told == {"kind": "key", "name": "seal", "action": "renew", "ends_on": f"{end + DAY / 3:%Y-%m-%d}"}
    assert all(each["name"] != "seal" for each in alarm(engine, end - 4 * DAY))


def test_the_roots_list_and_a_responder_that_renews_itself(
    engine: Engine, keys: SoftwareKeyStore, administrator: User, now: datetime
) -> None:
    told = told_over(engine, now, 402)
    assert [(day, action) for day, name, action in told if name == "root"] == [
        (340, "sign_root_list"), (370, "sign_root_list"), (393, "sign_root_list"), (399, "sign_root_list"),
        (400, "sign_root_list"),
    ]  # fmt: skip
    assert not [name for _day, name, _action in told if name.startswith("ocsp")]


def test_without_an_administrator_nothing_counts_as_told(engine: Engine, keys: SoftwareKeyStore) -> None:
    end = keys.certificates("seal")[0].not_valid_after_utc
    assert alarm(engine, end - 5 * DAY) == []
    with transaction(engine) as session:
        make_officer(session, ["administrator"])
    assert alarm(engine, end - 5 * DAY) != []


def mandate_ending(session: Session, official: User, begin: date, end: date | None) -> Mandate:
    return make_mandate(session, official, capacity=Capacity.PLH, valid_from=begin, valid_until=end)


def test_a_mandate_is_told_of_in_its_last_third_unless_another_follows(
    engine: Engine, administrator: User, now: datetime
) -> None:
    today = now.date()
    with transaction(engine) as session:
        plh, staying = (make_officer(session, ["front_office"]) for _ in range(2))
        mandate_ending(session, plh, today, today + 11 * DAY)
        mandate_ending(session, staying, today, today + 11 * DAY)
        mandate_ending(session, staying, today, None)
    told = told_over(engine, now, 20)
    assert [day for day, name, _action in told if plh.full_name in name] == [8, 11]
    assert {action for _day, _name, action in told} == {"grant"}


def test_documents_whose_proof_is_not_renewed_are_told_of(
    workshop: Workshop, city: cases.City, key_store: SoftwareKeyStore, administrator: User, now: datetime
) -> None:
    with transaction(workshop.engine) as session:
        case = cases.bring_to_signature(session, city, now)
    signer = key_store.open_key("official-head", cases.OFFICIAL_PASSPHRASE, now=now)
    cases.issue_case(workshop, city, case, signer, now)
    end = signer.certificate.not_valid_after_utc

    told = told_over(workshop.engine, end - 182 * DAY, 184)

    assert [day - 182 for day, name, action in told if (name, action) == ("", "look_into")] == [
        -180, -90, -30, -7, -1, 0,
    ]  # fmt: skip


def test_the_mail_names_what_ends_and_the_command(
    engine: Engine, keys: SoftwareKeyStore, administrator: User, settings: Settings
) -> None:
    end = keys.certificates("seal")[0].not_valid_after_utc
    alarm(engine, end - 5 * DAY)
    with transaction(engine) as session:
        mail = session.exec(select(MailMessage)).one()
        text = compose(mail, settings, lambda *_: "").get_content()
    assert mail.to_address == administrator.email
    assert "canting keys renew" in text
    assert "/admin/keys" in text
