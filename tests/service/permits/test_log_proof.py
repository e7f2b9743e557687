"""A permit's entries are proven to whoever has its code, by public means alone."""

import base64
import hashlib
import json
from datetime import datetime

import cases
import pytest
from factories import actor_of
from fastapi.testclient import TestClient
from sqlalchemy import Engine

from keys.software import SoftwareKeyStore
from service.database import transaction
from service.permits.issue import Workshop
from service.permits.models import Permit
from service.permits.revoke import revoke_permit
from service.transparency.merkle import leaf_hash, verify_inclusion
from service.transparency.notes import open_checkpoint, parse_vkey


@pytest.fixture
def permit(
    workshop: Workshop, engine: Engine, city: cases.City, key_store: SoftwareKeyStore, now: datetime
) -> Permit:
    with transaction(engine) as session:
        case = cases.bring_to_signature(session, city, now)
    signer = key_store.open_key("official-head", cases.OFFICIAL_PASSPHRASE, now=now)
    issued = cases.issue_case(workshop, city, case, signer, now)
    with transaction(engine) as session:
        head = actor_of(session, city.head)
        return revoke_permit(
            session, issued.permit.id, reason_code="own_request", remark="Uji", actor=head, now=now
        )


def test_every_leaf_of_a_permit_leads_to_the_signed_root(client: TestClient, permit: Permit) -> None:
    answer = client.get(f"/api/v1/permits/{permit.code}/log-proof").json()
    checkpoint = open_checkpoint(answer["checkpoint"], parse_vkey(client.get("/log/vkey").text))
    kinds = []
    for entry in answer["entries"]:
        path = [bytes.fromhex(item) for item in entry["path"]]
        hashed = leaf_hash(entry["leaf"].encode())
        assert verify_inclusion(hashed, entry["index"], checkpoint.size, path, checkpoint.root)
        leaf = json.loads(entry["leaf"])
        assert leaf["code_sha256"] == hashlib.sha256(permit.code.encode()).hexdigest()
        assert permit.holder_name not in entry["leaf"]
        assert permit.code not in entry["leaf"]
        kinds.append(leaf["kind"])
    assert kinds == ["issued", "revoked"]


def test_the_proof_as_a_file_says_the_same(client: TestClient, permit: Permit) -> None:
    answer = client.get(f"/api/v1/permits/{permit.code}/log-proof").json()
    entry = answer["entries"][0]
    head, _, note = entry["tlog_proof"].partition("\n\n")
    first, index, *path = head.split("\n")
    assert (first, index) == ("c2sp.org/tlog-proof@v1", f"index {entry['index']}")
    assert [base64.b64decode(item).hex() for item in path] == entry["path"]
    assert note == answer["checkpoint"]


def test_an_unknown_code_has_no_proof(client: TestClient, permit: Permit) -> None:
    for code in ("0" * 26, "x"):
        answer = client.get(f"/api/v1/permits/{code}/log-proof")
        assert (answer.status_code, answer.json()["code"]) == (404, "permit_not_found")
