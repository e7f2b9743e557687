"""The audit chain: whole in whatever zone an event's time was given, and broken by any change."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pytest
from sqlmodel import Session, col, update

from service.audit import (
    AuditChainBroken,
    AuditEvent,
    AuditHead,
    event_body,
    read_stretch,
    record_event,
    verify_chain,
)
from service.canonical import chained_hash, text_hash
from service.clock import CITY_TIMEZONE


def record(session: Session, now: datetime, action: str = "tested") -> int:
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


def test_equal_events_have_digests_that_tell_nothing(session: Session, now: datetime) -> None:
    bodies = [event_body(session.get_one(AuditEvent, record(session, now)).model_dump()) for _ in range(2)]
    assert len({text_hash(body) for body in bodies}) == 2
    assert all("previous_hash" not in body for body in bodies)


def test_a_stretch_can_be_walked_by_digests_alone(session: Session, now: datetime) -> None:
    for _ in range(4):
        record(session, now)
    first, *others = read_stretch(session, 2, 4)
    value = first.hash
    for event in others:
        value = chained_hash(value, text_hash(event_body(event.model_dump())))
    assert (value, [event.number for event in others]) == (others[-1].hash, [3, 4])


def test_events_cut_off_at_the_end_are_noticed(session: Session, now: datetime) -> None:
    record(session, now)
    session.execute(update(AuditHead).values(number=2))
    session.expire_all()
    with pytest.raises(AuditChainBroken):
        verify_chain(session)
