"""Wrapping keys rotated over real rows: everything opens with the new key alone afterwards."""

from datetime import datetime
from pathlib import Path

import pytest
from factories import TOTP_SECRET, actor_of, clean_jpeg, jpeg_file, load_city, make_citizen, make_draft
from sqlalchemy import Engine
from sqlmodel import Session, select

from service import rewrap
from service.accounts import sealing
from service.accounts.models import User
from service.accounts.second_factor import enrol_totp_directly
from service.applications.models import Upload
from service.applications.uploads import open_upload, remove_upload, store_upload
from service.database import reading, transaction
from service.rewrap import Rewrapped, rewrap_secrets
from service.storage import Storage, open_storage

OLD = {"k1": bytes(range(32))}
NIK = "3375014708900000"
NEW = {"k2": bytes(range(1, 33))}


@pytest.fixture
def files(tmp_path: Path) -> Storage:
    return open_storage((tmp_path / "storage").as_uri())


def keep_files(session: Session, files: Storage, count: int, now: datetime) -> User:
    """Add uploads, one that is removed, a TOTP secret and an identity outside, sealed with the old key."""
    load_city(session)
    citizen = make_citizen(session)
    draft, actor = make_draft(session, citizen), actor_of(session, citizen)
    uploads = [
        store_upload(session, files, OLD, draft, "ktp", "ktp.jpg", clean_jpeg(), actor, now)
        for _ in range(count + 1)
    ]
    remove_upload(session, files, uploads[0], now)
    enrol_totp_directly(session, citizen, TOTP_SECRET, OLD, now)
    citizen.outside_identity = sealing.seal(NIK, OLD, sealing.outside_context(citizen.id))
    return citizen


def test_everything_opens_with_the_new_key_alone(
    engine: Engine, files: Storage, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rewrap, "BATCH", 2)
    with transaction(engine) as session:
        citizen = keep_files(session, files, 3, now)
    assert rewrap_secrets(engine, NEW | OLD) == Rewrapped(sealed=4)
    assert rewrap_secrets(engine, NEW | OLD) == Rewrapped()
    with reading(engine) as session:
        uploads = session.exec(select(Upload).where(Upload.wrapped_key != "")).all()
        assert [open_upload(files, NEW, upload) for upload in uploads] == [jpeg_file()] * 3
        account = session.get_one(User, citizen.id)
    assert account.totp_secret is not None
    assert account.outside_identity is not None
    assert sealing.unseal(account.totp_secret, NEW, str(citizen.id)) == TOTP_SECRET
    assert sealing.unseal(account.outside_identity, NEW, sealing.outside_context(citizen.id)) == NIK


def test_what_no_key_opens_is_counted_and_left_alone(engine: Engine, files: Storage, now: datetime) -> None:
    with transaction(engine) as session:
        keep_files(session, files, 1, now)
    assert rewrap_secrets(engine, NEW) == Rewrapped(not_opened=2)
    with reading(engine) as session:
        upload = session.exec(select(Upload).where(Upload.wrapped_key != "")).one()
    assert open_upload(files, OLD, upload) == jpeg_file()
