"""Batches before they are signed: selected, shown by a digest, changed, begun once, and nobody else's."""

import uuid
from functools import partial

import pytest
from batching import Office
from factories import actor_of, make_officer
from sqlmodel import select

from service.database import reading, transaction
from service.errors import InvalidInput
from service.permits.batch import (
    LEASE,
    MAX_FILES,
    BatchChanged,
    BatchNotFound,
    BatchRunning,
    begin_run,
    digest_of_list,
    find_batch,
    leave_out,
    select_files,
    stop_batch,
)
from service.permits.desk import DeskFile
from service.permits.models import Kind, SignBatch, SignBatchItem


def test_the_list_has_a_digest_that_anybody_can_compute(office: Office) -> None:
    batch = office.select(office.ready(3))
    listed = [(file.item.application_id, file.item.digest) for file in office.files(batch)]
    assert batch.list_digest == digest_of_list(listed)
    assert digest_of_list(listed[::-1]) != batch.list_digest


def test_a_selection_is_of_one_to_a_thousand_files_each_once(office: Office) -> None:
    many = [DeskFile(uuid.uuid4(), Kind.PERMIT, "0" * 64) for _ in range(MAX_FILES + 1)]
    for files in ([], many, [many[0], many[0]]):
        with pytest.raises(InvalidInput), transaction(office.engine) as session:
            select_files(session, files, actor=office.head, now=office.now)


def test_a_new_selection_takes_the_place_of_one_never_begun(office: Office) -> None:
    every = office.ready(2)
    office.select(every)
    second = office.select(every[:1])
    with reading(office.engine) as session:
        assert session.exec(select(SignBatch.id)).all() == [second.id]
        assert session.exec(select(SignBatchItem.application_id)).all() == [every[0].id]


def test_a_file_left_out_is_not_signed_and_changes_the_list(office: Office) -> None:
    batch = office.select(office.ready(3))
    with transaction(office.engine) as session:
        shorter = leave_out(session, batch.id, 2, actor=office.head)
    with pytest.raises(BatchChanged):
        office.sign(batch)
    assert office.progress(batch).waiting == 2
    office.sign(shorter)
    assert [file.item.position for file in office.files(batch)] == [1, 3]
    office.assert_numbers_are_whole(2)
    with pytest.raises(BatchChanged), transaction(office.engine) as session:
        leave_out(session, batch.id, 1, actor=office.head)


def test_others_neither_see_nor_run_nor_stop_a_batch(office: Office) -> None:
    batch = office.select(office.ready(1))
    with transaction(office.engine) as session:
        other = actor_of(session, make_officer(session, ["department_head"], full_name="Pejabat Lain"))
    with pytest.raises(BatchNotFound), reading(office.engine) as session:
        find_batch(session, batch.id, actor=other)
    with pytest.raises(BatchNotFound):
        office.sign(batch, actor=other)
    with pytest.raises(BatchNotFound), transaction(office.engine) as session:
        stop_batch(session, batch.id, actor=other)
    with pytest.raises(BatchNotFound), transaction(office.engine) as session:
        leave_out(session, batch.id, 1, actor=other)


def test_an_official_has_one_batch_signed_at_a_time(office: Office) -> None:
    every = office.ready(2)
    first = office.select(every[:1])
    begin = partial(begin_run, actor=office.head, now=office.now)
    with transaction(office.engine) as session:
        begin(session, first.id, seen_digest=first.list_digest)
    second = office.select(every[1:])
    for batch in (first, second):
        with pytest.raises(BatchRunning), transaction(office.engine) as session:
            begin(session, batch.id, seen_digest=batch.list_digest)
    # A run that has not been heard of for so long died with its process.
    with transaction(office.engine) as session:
        begin_run(session, first.id, actor=office.head, now=office.now + LEASE, seen_digest=first.list_digest)
