"""Comparing without disclosing: tolerant of typing, never of another person or place."""

import re
from collections.abc import Iterator
from datetime import date, datetime

import cases
import pytest
import time_machine
from factories import let_forms_pass
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from service.errors import FieldProblem, InvalidInput
from service.permits.models import Permit
from service.verification.compare import (
    Comparison,
    Match,
    PaperSays,
    compare_paper,
    require_something,
    same_name,
    same_text,
)
from service.verification.intake import COMPARISONS_OF_ADDRESS, COMPARISONS_OF_PERMIT

ISSUED_ON = {"issued_on-day": "23", "issued_on-month": "11", "issued_on-year": "2026"}
HOLDER = "Siti Contoh, A.Md.Keb."


@pytest.fixture(autouse=True)
def at_noon(now: datetime) -> Iterator[None]:
    with time_machine.travel(now, tick=True):
        yield


# Writing ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "registered"),
    [
        ("SITI CONTOH", "Siti Contoh"),
        ("  siti   contoh ", "Siti Contoh"),
        ("Siti Contoh", "Siti Contoh, A.Md.Keb."),
        ("siti contoh amd.keb", "Siti Contoh, A.Md.Keb."),
        ("Siti Contoh A. Md. Keb.", "Siti Contoh, A.Md.Keb."),
        ("Rina Contoh, S.Pd.", "Rina Contoh, S.Pd., M.Pd."),
        ("Bagas Contoh", "dr. Bagas Contoh"),
        ("DR BAGAS CONTOH, SP.A", "dr. Bagas Contoh, Sp.A."),
        ("Umar Ma’ruf", "Umar Ma'ruf"),
        ("CV. Contoh-Jaya", "CV Contoh Jaya"),
        ("H", "H"),
        ("Bagas", "dr. Bagas"),
        ("Bagas Contoh", "Prof. Dr. Bagas Contoh"),
        ("Ｓｉｔｉ Contoh", "Siti Contoh"),
    ],
)
def test_ways_of_writing_one_name_match(typed: str, registered: str) -> None:
    assert same_name(typed, registered)


@pytest.mark.parametrize(
    ("typed", "registered"),
    [
        ("Siti Conto", "Siti Contoh"),
        ("Siti Contoh Aminah", "Siti Contoh"),
        ("Siti", "Siti Contoh"),
        ("Contoh Siti", "Siti Contoh"),
        ("Sitic Ontoh", "Siti Contoh"),
        ("S. Contoh", "Siti Contoh"),
        ("S*** C*****", "Siti Contoh"),
        ("Budi Santosa", "Budi Santoso"),
        ("Muhammad Contoh", "Mohammad Contoh"),
        ("drg. Bagas Contoh", "dr. Bagas Contoh"),
        ("dr. Bagas Contoh", "Bagas Contoh"),
        ("Siti Contoh, S.H.", "Siti Contoh, A.Md.Keb."),
        ("Siti Contoh, M.Pd.", "Siti Contoh, S.Pd., M.Pd."),
        ("PT Contoh Jaya", "CV Contoh Jaya"),
        ("", "Siti Contoh"),
        ("", "H"),
        ("Dr. Bagas Contoh", "Prof. Dr. Bagas Contoh"),
        ("H.", "H. Contoh"),
    ],
)
def test_another_persons_name_never_matches(typed: str, registered: str) -> None:
    assert not same_name(typed, registered)


NAMES = st.lists(st.text("abcdefghi", min_size=2, max_size=6), min_size=1, max_size=4).map(" ".join)


@given(NAMES, NAMES)
def test_two_names_match_only_when_their_letters_are_the_same(one: str, other: str) -> None:
    assert same_name(one.upper(), f"{other.title()}, S.H.") == (one == other)


@pytest.mark.parametrize(
    ("typed", "registered", "same"),
    [
        ("Jl. Contoh Kenanga No.7", "Jalan Contoh Kenanga Nomor 7", True),
        ("jln contoh kenanga 07", "Jalan Contoh Kenanga Nomor 7", False),
        ("Jalan Contoh No. 07 RT.001/RW.02", "Jl. Contoh Nomor 7 RT 1 RW 002", True),
        ("Gg. Contoh Blk A1 Kel. Medono", "Gang Contoh Blok A 1 Kelurahan Medono", True),
        ("PUSKESMAS CONTOH", "Puskesmas Contoh", True),
        ("Jalan Contoh Nomor 7", "Jalan Contoh Nomor 17", False),
        ("Jalan Contoh 1 23", "Jalan Contoh 12 3", False),
        ("Gang Contoh Nomor 7", "Jalan Contoh Nomor 7", False),
        ("Jalan Contoh 0", "Jalan Contoh Nomor 00", True),
        ("Jalan Contoh Nomor 10", "Jalan Contoh Nomor 1", False),
        ("BB02", "BB0002", False),
        ("", "Medono", False),
    ],
)
def test_abbreviations_match_and_other_places_do_not(typed: str, registered: str, same: bool) -> None:
    assert same_text(typed, registered) is same


def test_each_fact_is_told_apart_and_what_is_not_registered_is_not_listed(issued: cases.Issued) -> None:
    paper = PaperSays(
        holder="siti contoh",
        valid_until=issued.permit.issued_on,
        facts={
            "practice_address": "Jl. Contoh No. 2",
            "practice_name": "Puskesmas Lain",
            "full_name": "Siti Contoh",
            "nik": "3375014708900000",
        },
    )
    found = compare_paper(issued.permit, paper)
    assert (found.holder, found.valid_until) == (Match.MATCHES, Match.DIFFERS)
    assert found.facts == {
        "practice_address": Match.MATCHES,
        "practice_name": Match.DIFFERS,
        "full_name": Match.MATCHES,
        "nik": Match.NOT_LISTED,
    }
    assert compare_paper(issued.permit, PaperSays()).every == []


def test_a_permit_without_an_end_lists_no_day_and_other_facts_are_told_in_its_own_words(
    issued: cases.Issued,
) -> None:
    """The register's Indonesian words are on every paper, and a holder's name is compared as one."""
    value = {"id": "Fasilitas kesehatan", "en": "Health facility"}
    kind = {"key": "practice_kind", "label": {"id": "Tempat", "en": "Place"}, "value": value}
    permit = Permit(**issued.permit.model_dump() | {"valid_until": None, "public_facts": [kind]})
    for typed, outcome in (("fasilitas kesehatan", Match.MATCHES), ("health facility", Match.DIFFERS)):
        paper = PaperSays(valid_until=date(2031, 11, 22), facts={"practice_kind": typed})
        assert compare_paper(permit, paper) == Comparison(None, Match.NOT_LISTED, {"practice_kind": outcome})


def test_a_comparison_agrees_only_when_all_that_was_typed_matches() -> None:
    same, other = Match.MATCHES, Match.DIFFERS
    for comparison, every, agrees in (
        (Comparison(same, None, {}), [same], True),
        (Comparison(same, same, {"a": same}), [same, same, same], True),
        (Comparison(same, other, {}), [same, other], False),
        (Comparison(None, None, {"a": same, "b": Match.NOT_LISTED}), [same, Match.NOT_LISTED], False),
    ):
        assert (comparison.every, comparison.agrees) == (every, agrees)


def test_who_typed_nothing_is_told_so_at_the_first_field_in_both_languages() -> None:
    with pytest.raises(InvalidInput) as refusal:
        require_something(PaperSays())
    sentences = (
        "Ketik sedikitnya satu keterangan seperti pada surat.",
        "Type at least one fact as on the paper.",
    )
    assert (refusal.value.message_id, refusal.value.message_en) == sentences
    assert refusal.value.problems == (FieldProblem("holder", "required", *sentences),)
    for paper in (PaperSays(""), PaperSays(valid_until=date(2031, 11, 22)), PaperSays(facts={"x": "y"})):
        require_something(paper)


# The doors ----------------------------------------------------------------------------------------


def test_the_page_tells_what_agrees_and_nothing_of_the_register(
    client: TestClient, issued: cases.Issued
) -> None:
    let_forms_pass(client)
    form = {"holder": "Siti Contoh", "fact-practice_name": "Puskesmas Lain"}
    by_code = client.post(f"/v/{issued.permit.code}/comparison", data=form)
    by_number = client.post(
        "/verify/number/comparison", data={"number": issued.permit.number, **ISSUED_ON, **form}
    )
    for answer in (by_code, by_number):
        assert answer.status_code == 200
        assert "Ada yang tidak cocok" in answer.text
        assert (answer.text.count(">Cocok<"), answer.text.count(">Tidak cocok<")) == (1, 1)
        for secret in ("A.Md.Keb", "Puskesmas Contoh", "Jalan Contoh", "STR-CONTOH", "2031"):
            assert secret not in answer.text


def test_what_agrees_with_a_valid_permit_is_green_and_nothing_typed_is_asked_again(
    client: TestClient, issued: cases.Issued
) -> None:
    let_forms_pass(client)
    place, right = f"/v/{issued.permit.code}/comparison", {"holder": "Siti Contoh"}
    day = {"valid_until-day": "31", "valid_until-month": "2", "valid_until-year": "2031"}
    assert "canting-verdict--genuine" in client.post(place, data=right).text
    assert client.post(place, data={"holder": "  "}).status_code == 422
    assert client.post(place, data=right | day).status_code == 422
    assert client.post("/v/" + "0" * 26 + "/comparison", data=right).status_code == 404


def test_the_api_answers_with_matches_alone(client: TestClient, issued: cases.Issued) -> None:
    place = f"/api/v1/permits/{issued.permit.code}/comparison"
    asked = {
        "holder": "Siti Contoh",
        "valid_until": str(issued.permit.valid_until),
        "facts": {"practice_name": "Lain", "x": "y"},
    }
    answer = client.post(place, json=asked)
    assert answer.status_code == 200
    assert answer.json() == {
        "holder": "matches",
        "valid_until": "matches",
        "facts": {"practice_name": "differs", "x": "not_listed"},
        "status": "active",
    }
    assert client.post(place, json={}).status_code == 422
    unknown = client.post("/api/v1/permits/" + "0" * 26 + "/comparison", json=asked)
    assert (unknown.status_code, unknown.json()["code"]) == (404, "permit_unknown")


# Guessing -----------------------------------------------------------------------------------------


def test_guesses_are_counted_by_address_and_by_permit(
    app: FastAPI, client: TestClient, issued: cases.Issued
) -> None:
    app.state.settings = app.state.settings.model_copy(update={"trusted_proxy_hops": 1})
    place = f"/api/v1/permits/{issued.permit.code}/comparison"

    def ask(address: str, place: str = place) -> int:
        return client.post(
            place, json={"holder": "Tebakan"}, headers={"x-forwarded-for": address}
        ).status_code

    statuses = [ask("192.0.2.1") for _ in range(COMPARISONS_OF_ADDRESS.amount + 1)]
    assert statuses == [200] * COMPARISONS_OF_ADDRESS.amount + [429]
    left = COMPARISONS_OF_PERMIT.amount - COMPARISONS_OF_ADDRESS.amount
    statuses = [ask(f"198.51.100.{n}") for n in range(left + 1)]
    assert statuses == [200] * left + [429]
    let_forms_pass(client)
    by_number = {"number": issued.permit.number, **ISSUED_ON, "holder": "Tebakan"}
    answer = client.post(
        "/verify/number/comparison", data=by_number, headers={"x-forwarded-for": "203.0.113.1"}
    )
    assert answer.status_code == 429


VARYING = re.compile(r'name="csrf_token" value="[^"]*"|pukul [0-9.]+')


def test_an_unknown_number_and_a_wrong_day_cannot_be_told_apart(
    client: TestClient, issued: cases.Issued, statements: list[str]
) -> None:
    let_forms_pass(client)
    unknown = issued.permit.number.replace("/0001/", "/0009/")
    answers = []
    for path in ("/verify/number", "/verify/number/comparison"):
        for number, day in ((unknown, "23"), (issued.permit.number, "22")):
            statements.clear()
            form = ISSUED_ON | {"number": number, "issued_on-day": day, "holder": "Siti Contoh", "on-day": ""}
            answer = client.post(path, data=form)
            answers.append((path, answer.status_code, VARYING.sub("", answer.text), tuple(statements)))
    assert answers[0] == answers[1]
    assert answers[2] == answers[3]
    assert {status for _, status, _, _ in answers} == {404}
