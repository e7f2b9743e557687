"""Every key at a glance: the page, the command and the alarms say the same."""

from collections.abc import Callable
from datetime import datetime, timedelta

import cases
import pytest
from factories import make_officer, sign_in
from fastapi.testclient import TestClient
from sqlalchemy import Engine

from keys.algorithms import generate_key
from keys.authority import Subject, create_root
from keys.hierarchy import renew_key, sign_root_list
from keys.profiles import TSA
from keys.revocation import Revocation, build_crl
from keys.software import SoftwareKeyStore
from service.accounts.access import SERVICE
from service.config import LOCAL_TSA, Settings, TsaAddress
from service.database import reading, transaction
from service.pki.adopt import adopt_list
from service.pki.models import OutsideCertificate
from service.pki.outside import ANSWERED_LATELY
from service.pki.overview import KeyView, key_overview
from service.pki.publish import publish_revocation_lists
from service.pki.register import HOLD, record_folder, revoke_certificate

Look = Callable[..., dict[str, KeyView]]


@pytest.fixture
def keys(settings: Settings, now: datetime) -> SoftwareKeyStore:
    return cases.make_keys(settings.effective_keys_folder, now - timedelta(days=1))


@pytest.fixture
def look(engine: Engine, keys: SoftwareKeyStore, now: datetime) -> Look:
    with transaction(engine) as session:
        make_officer(session, ["department_head"], key_name="official-head")
    publish_revocation_lists(engine, keys, cases.OPERATIONS_PASSPHRASE, now)

    def look(at: datetime = now, addresses: tuple[TsaAddress, ...] = (LOCAL_TSA,)) -> dict[str, KeyView]:
        with reading(engine) as session:
            return {view.name: view for view in key_overview(session, addresses, at, keys.names())}

    return look


def test_every_key_is_there_with_what_is_to_be_done(look: Look, keys: SoftwareKeyStore) -> None:
    views = look()
    assert set(views) == {*keys.names(), "root", "ocsp"}
    assert {name: view.action for name, view in views.items()} == {
        "root": "sign_root_list",
        "issuing": "renew",
        "tsa": "renew",
        "seal": "renew",
        "official-head": "enrol",
        "ocsp": "automatic",
        "log": "none",
        "custodian-satu": "appoint",
        "custodian-dua": "appoint",
    }
    tsa_end = keys.certificates("tsa")[0].not_valid_after_utc
    assert views["tsa"].verifiable_until == views["official-head"].verifiable_until == tsa_end
    assert views["log"].not_after is None


def test_the_next_action_is_due_a_tenth_of_the_life_before_its_end(look: Look) -> None:
    tsa = look()["tsa"]
    assert tsa.act_from is not None
    assert tsa.act_by == tsa.not_after
    assert look(tsa.act_from + timedelta(days=1))["tsa"].state == "ends_soon"


def test_a_key_with_a_successor_waits_for_nothing(
    look: Look, engine: Engine, keys: SoftwareKeyStore, now: datetime
) -> None:
    words = {"passphrase": cases.OPERATIONS_PASSPHRASE, "issuer_passphrase": cases.OPERATIONS_PASSPHRASE}
    renew_key(keys, TSA, now=now + timedelta(hours=1), **words)
    publish_revocation_lists(engine, keys, cases.OPERATIONS_PASSPHRASE, now + timedelta(hours=2))
    views = look(now + timedelta(hours=2))
    assert (views["tsa"].action, views["tsa-2"].action) == ("none", "renew")
    assert views["seal"].verifiable_until == views["tsa-2"].not_after


def test_the_roots_list_is_due_before_it_goes_stale(
    look: Look, engine: Engine, keys: SoftwareKeyStore, now: datetime
) -> None:
    first = look()["root"]
    later = now + timedelta(days=350)
    assert first.act_from is not None
    assert first.act_from < later
    sign_root_list(keys, cases.ROOT_PASSPHRASE, now=later)
    publish_revocation_lists(engine, keys, cases.OPERATIONS_PASSPHRASE, later)
    renewed = look(later)["root"].act_from
    assert renewed is not None
    assert renewed > later


def test_a_custodian_whom_the_root_revoked_waits_for_nothing(
    look: Look, engine: Engine, keys: SoftwareKeyStore, now: datetime
) -> None:
    revoked = Revocation(keys.certificates("custodian-dua")[0].serial_number, now)
    sign_root_list(keys, cases.ROOT_PASSPHRASE, now=now, revocation=revoked)
    with transaction(engine) as session:
        record_folder(session, keys, now)
    views = look()
    assert (views["custodian-dua"].state, views["custodian-dua"].action) == ("revoked", "none")
    assert (views["custodian-satu"].state, views["custodian-satu"].action) == ("in_force", "appoint")


def test_another_authoritys_list_is_imported_anew_before_it_goes_stale(
    look: Look, engine: Engine, keys: SoftwareKeyStore, now: datetime
) -> None:
    national = create_root(Subject("Root Nasional"), generate_key(), now=now - timedelta(days=1))
    keys.publish_certificates("root-national", [national.certificate])
    with transaction(engine) as session:
        record_folder(session, keys, now)
    assert (look()["root-national"].action, look()["root-national"].act_from) == ("import_list", now)

    der = build_crl(national, [], number=1, this_update=now, next_update=now + timedelta(days=8))
    with transaction(engine) as session:
        adopt_list(session, keys, der, now)
    view = look()["root-national"]
    assert view.act_from is not None
    assert view.act_by is not None
    assert (view.act_from - now, view.act_by - now) == (timedelta(days=4), timedelta(days=8))


def test_a_suspended_key_waits_for_a_decision(look: Look, engine: Engine, now: datetime) -> None:
    with transaction(engine) as session:
        revoke_certificate(session, "official-head", reason=HOLD, actor=SERVICE, now=now)
    assert (look()["official-head"].state, look()["official-head"].action) == ("suspended", "decide")


def test_the_key_of_who_no_longer_signs_waits_for_nothing(look: Look, engine: Engine, now: datetime) -> None:
    with transaction(engine) as session:
        official = make_officer(session, ["department_head"], key_name="official-former")
        official.disabled_at = now
    assert look()["official-head"].action == "enrol"


def test_an_authority_of_another_house_is_shown_with_whether_it_answers(
    look: Look, engine: Engine, now: datetime
) -> None:
    addresses = (TsaAddress("luar", "http://127.0.0.1:9/tsr"), LOCAL_TSA)
    assert look(now, addresses)["tsa luar"].state == "silent"
    end = now + timedelta(days=3000)
    with transaction(engine) as session:
        session.add(
            OutsideCertificate(
                fingerprint="0" * 64,
                tsa="luar",
                subject="Luar TSA",
                not_before=now,
                not_after=end,
                chain=b"",
                answered_at=now,
            )
        )
    views = look(now, addresses)
    assert (views["tsa luar"].state, views["tsa luar"].verifiable_until) == ("in_force", end)
    assert views["seal"].verifiable_until == end
    assert look(now + 2 * ANSWERED_LATELY, addresses)["tsa luar"].action == "look_into"


def test_administrators_read_it_on_a_page(
    client: TestClient, engine: Engine, settings: Settings, look: Look
) -> None:
    with transaction(engine) as session:
        administrator = make_officer(session, ["administrator"], settings=settings)
    sign_in(client, administrator)
    page = client.get("/admin/keys").text
    assert "Tanda tangani daftar pencabutan akar" in page
    assert all(name in page for name in look())
