"""The audit chain: whole in whatever zone an event's time was given, and broken by any change."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pytest
from sqlmodel import Session, col, update

from service.audit import AuditChainBroken, AuditEvent, AuditHead, record_event, verify_chain
from service.clock import CITY_TIMEZONE


def record(session: Session, now: datetime, action: str = "tested") -> AuditEvent:
    return record_event(
        session,
        action=action,
        subject_type="test",
        subject_id="1",
        actor_id=None,
        actor_name="Siti Contoh",
        actor_role="citizen",
        now=now,
    )


def test_an_event_in_the_citys_time_keeps_the_chain_whole(session: Session, now: datetime) -> None:
    record(session, now)
    record(session, now.astimezone(CITY_TIMEZONE))
    session.expire_all()
    assert verify_chain(session) == 2


@pytest.mark.parametrize("change", [{"actor_name": "Orang Lain"}, {"action": "other"}, {"hash": "0" * 64}])
def test_a_changed_event_is_named(session: Session, now: datetime, change: Mapping[str, Any]) -> None:
    for _ in range(3):
        record(session, now)
    session.execute(update(AuditEvent).where(col(AuditEvent.number) == 2).values(**change))
    session.expire_all()
    with pytest.raises(AuditChainBroken) as broken:
        verify_chain(session)
    assert broken.value.number == 2


def test_events_cut_off_at_the_end_are_noticed(session: Session, now: datetime) -> None:
    record(session, now)
    session.execute(update(AuditHead).values(number=2))
    session.expire_all()
    with pytest.raises(AuditChainBroken):
        verify_chain(session)
