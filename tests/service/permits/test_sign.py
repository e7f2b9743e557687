"""Whose certificate a document says it has: the national authority's, a sample's, ours."""

from dataclasses import replace
from datetime import datetime

import cases
import outside
import pypdfium2
import pytest
from outside_bsre import BsreServer
from outside_desk import BEGINS, Desk, Moment, connected, desk_of, refusal_of
from sqlalchemy import Engine

from service.accounts.models import User
from service.config import Settings
from service.database import transaction
from service.permits.issue import finish_issuance
from service.permits.models import HERE
from service.permits.sign import OtherService
from service.permits.signer import open_signer
from service.pki.store import open_store


def words_on(pdf: bytes) -> str:
    document = pypdfium2.PdfDocument(pdf)
    try:
        return " ".join(page.get_textpage().get_text_range() for page in document)
    finally:
        document.close()


def test_a_test_authority_never_signs_under_the_national_sentence(
    settings: Settings,
    house: outside.House,
    bsre: BsreServer,
    staffed_city: cases.City,
    engine: Engine,
    moment: Moment,
) -> None:
    real = connected(settings, house, moment(), bsre, is_sample=False)
    desk = desk_of(bsre, real, staffed_city, engine, moment)
    assert refusal_of(lambda: desk.sign(desk.case())) == "returned_document_refused"
    assert desk.trail()[-1][1]["reasons"] == ["other_issuer"]
    assert desk.versions() == []


def test_the_national_authority_s_documents_say_so_and_samples_do_not(
    settings: Settings,
    house: outside.House,
    staffed_city: cases.City,
    engine: Engine,
    moment: Moment,
    now: datetime,
) -> None:
    national = outside.make_house(BEGINS, "Badan Siber dan Sandi Negara", house.private_keys)
    server = BsreServer(national, moment)
    with outside.serving(server):
        real = connected(settings, national, now, server, is_sample=False)
        desk = desk_of(server, real, staffed_city, engine, moment)
        desk.sign(desk.case())
        words = words_on(desk.document())
    assert "Balai Sertifikasi Elektronik" in words
    assert "TIDAK SAH" not in words


def test_a_key_of_ours_makes_samples_beside_a_connected_service(at_bsre: Desk, now: datetime) -> None:
    engine = at_bsre.workshop.engine
    printing = replace(at_bsre.workshop.printing, is_sample=False)
    at_bsre.workshop = replace(at_bsre.workshop, printing=printing)
    with transaction(engine) as session:
        official = session.get_one(User, at_bsre.city.head.id)
        official.key_name = "official-head"
        session.add(official)
    permit = at_bsre.sign(at_bsre.case(), cases.OFFICIAL_PASSPHRASE)
    assert permit.signed_by == HERE
    words = words_on(at_bsre.document())
    assert "TIDAK SAH" in words
    assert "diterbitkan oleh Balai Sertifikasi Elektronik" not in words


def test_a_document_composed_for_one_service_is_not_signed_by_another(at_bsre: Desk, now: datetime) -> None:
    at_bsre.server.fault = "429"
    assert refusal_of(lambda: at_bsre.sign(at_bsre.case())) == "outside_busy"
    official = at_bsre.city.head.model_copy(update={"key_name": "official-head"})
    key = open_signer(open_store(at_bsre.settings), official, cases.OFFICIAL_PASSPHRASE, now)
    with pytest.raises(OtherService):
        finish_issuance(at_bsre.workshop, at_bsre.permit().id, actor=at_bsre.head, signer=key)
