"""A service with a permit, registered as signed (B-T) and as archived (B-LTA), and a superseded one."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import cases
import pytest
import time_machine
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import Engine

from keys.software import SoftwareKeyStore
from keys.store import OpenKey
from service.app import create_app
from service.config import Settings
from service.database import open_engine, transaction
from service.permits.compose import Printing
from service.permits.extend import extend_document
from service.permits.issue import Workshop
from service.permits.signer import open_operations_keys
from service.pki.publish import publish_revocation_lists
from service.storage import get_document, open_storage

NOW = datetime.fromisoformat("2026-11-23T03:00:00+00:00")


@dataclass
class Target:
    """The attacked service, its genuine documents by level, and the real keys that attacks may misuse."""

    app: FastAPI
    client: TestClient
    issued: cases.Issued
    documents: dict[str, bytes]
    superseded: dict[str, bytes]
    """Another permit's documents by level, which the next one took the place of."""
    successor: cases.Issued
    signer: OpenKey
    tsa: OpenKey

    def __post_init__(self) -> None:
        self._strangers = count(1)

    def verify(self, pdf: bytes, report: str = "simple") -> dict[str, object]:
        """Upload a file as another stranger each time; the answer must be a verdict or a plain refusal."""
        number = next(self._strangers)
        address = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
        with time_machine.travel(NOW + timedelta(hours=1), tick=True):
            answer = self.client.post(
                f"/api/v1/verifications?report={report}",
                files={"file": ("izin.pdf", pdf)},
                headers={"x-forwarded-for": address},
            )
        assert answer.status_code in (200, 413, 415, 422), answer.text
        return answer.json() if answer.status_code == 200 else {"verdict": "refused", "reasons": []}


@pytest.fixture(scope="session")
def target(
    tmp_path_factory: pytest.TempPathFactory,
    new_database: Callable[[], str],
    make_settings: Callable[[Path], Settings],
) -> Iterator[Target]:
    folder = tmp_path_factory.mktemp("target")
    keys = cases.make_keys(folder / "keys", NOW - timedelta(days=1))
    changed = {"keys_folder": folder / "keys", "trusted_proxy_hops": 1}
    settings = make_settings(folder).model_copy(update=changed)
    engine = open_engine(new_database())
    app = create_app(settings, engine)
    # A busy machine must not decide the verdict; the budget has its own tests.
    app.state.sandbox.seconds = 30
    issued, documents, superseded, successor = _issue(engine, keys, settings)
    with TestClient(app, raise_server_exceptions=False) as client:
        yield Target(
            app,
            client,
            issued,
            documents,
            superseded,
            successor,
            keys.open_key("official-head", cases.OFFICIAL_PASSPHRASE, now=NOW),
            keys.open_key("tsa", cases.OPERATIONS_PASSPHRASE, now=NOW),
        )


def _issue(
    engine: Engine, keys: SoftwareKeyStore, settings: Settings
) -> tuple[cases.Issued, dict[str, bytes], dict[str, bytes], cases.Issued]:
    own = open_operations_keys(keys, cases.OPERATIONS_PASSPHRASE, lambda: NOW)
    storage = open_storage(settings.effective_storage_url)
    printing = Printing(settings.base_url, is_sample=True)
    workshop = Workshop(engine, storage, own.timestamper, lambda: NOW, printing)
    with transaction(engine) as session:
        city = cases.make_city(session, NOW - timedelta(days=3))
    signer = keys.open_key("official-head", cases.OFFICIAL_PASSPHRASE, now=NOW)

    def issue(**chosen: Any) -> cases.Issued:
        with transaction(engine) as session:
            case = cases.bring_to_signature(session, city, NOW - timedelta(days=1), **chosen)
        return cases.issue_case(workshop, city, case, signer, NOW)

    def by_level(issued: cases.Issued) -> dict[str, bytes]:
        archived = extend_document(workshop, issued.permit.id, tsa=own.tsa)
        assert archived is not None
        return {"B-T": issued.pdf, "B-LTA": get_document(storage, archived.sha256)}

    issued, earlier = issue(), issue()
    publish_revocation_lists(engine, keys, cases.OPERATIONS_PASSPHRASE, NOW)
    documents, superseded = by_level(issued), by_level(earlier)
    successor = issue(request="change", continues=earlier.permit, practice_name="Klinik Baru")
    return issued, documents, superseded, successor
