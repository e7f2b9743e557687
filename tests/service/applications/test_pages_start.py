"""The pages of starting a renewal or change, over HTTP: which permit, and what is filled in."""

import uuid

from factories import HEALTH_WORKER
from fastapi.testclient import TestClient
from sqlalchemy import Engine

from service.applications.models import Application
from service.database import reading
from service.permits.models import Permit

ASKED = {"type": HEALTH_WORKER, "request": "renewal"}


def test_the_citizen_chooses_the_permit_and_finds_its_answers(client: TestClient, held: Permit) -> None:
    asking = client.post("/applications/new", data=ASKED)
    assert (asking.status_code, held.number in asking.text) == (200, True)
    unanswered = client.post("/applications/new", data=ASKED | {"asked": "continues"})
    assert (unanswered.status_code, "Pilih izin yang Anda maksud." in unanswered.text) == (422, True)
    started = client.post("/applications/new", data=ASKED | {"continues": held.code})
    tasks = client.get(started.headers["location"]).text
    assert held.number in tasks
    assert "Isian dari izin lama sudah disalin." in tasks
    again = client.post("/applications/new", data=ASKED)
    assert "Untuk izin ini sudah ada permohonan" in again.text


def test_a_permit_on_paper_is_named_by_nobody(engine: Engine, client: TestClient, held: Permit) -> None:
    started = client.post("/applications/new", data=ASKED | {"continues": "paper"})
    with reading(engine) as session:
        row = session.get_one(Application, uuid.UUID(started.headers["location"].split("/")[2]))
        assert row.continues_id is None
