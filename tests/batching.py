"""A desk at which batches are signed."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Any

import cases
from factories import actor_of
from sqlalchemy import Engine
from sqlmodel import col, select

from keys.store import OpenKey
from service.accounts.access import Actor
from service.accounts.models import User
from service.applications.models import Application
from service.audit import verify_chain
from service.database import reading, transaction
from service.permits.batch import BatchState, batch_state, find_batch, select_files
from service.permits.batch_progress import BatchFile, Progress, count_files, read_files
from service.permits.batch_run import BatchRuns
from service.permits.desk import DeskFile
from service.permits.issue import Workshop
from service.permits.models import Kind, Permit, SignBatch


@dataclass
class Office:
    """A head of office at the desk, with cases that wait."""

    workshop: Workshop
    city: cases.City
    key: OpenKey
    """The head's, which stays open over all runs of a test."""
    now: datetime

    @property
    def engine(self) -> Engine:
        return self.workshop.engine

    @cached_property
    def head(self) -> Actor:
        with reading(self.engine) as session:
            return actor_of(session, session.get_one(User, self.city.head.id))

    def ready(self, count: int, **options: Any) -> list[Application]:
        """Bring cases to the signature."""
        with transaction(self.engine) as session:
            return [cases.bring_to_signature(session, self.city, self.now, **options) for _ in range(count)]

    def select(self, every: Sequence[Application]) -> SignBatch:
        """Select cases as the official sees them."""
        files = [
            DeskFile(case.id, Kind.PERMIT, cases.digest_shown(self.workshop, self.city, case, self.now))
            for case in every
        ]
        with transaction(self.engine) as session:
            return select_files(session, files, actor=self.head, now=self.now)

    def start(
        self, runs: BatchRuns, batch: SignBatch, *, key: OpenKey | None = None, actor: Actor | None = None
    ) -> None:
        runs.start(
            self.workshop,
            batch.id,
            actor=actor or self.head,
            signer=key or self.key,
            seen_digest=batch.list_digest,
        )

    def sign(self, batch: SignBatch, *, key: OpenKey | None = None, actor: Actor | None = None) -> None:
        """Sign a batch to its end."""
        runs = BatchRuns()
        self.start(runs, batch, key=key, actor=actor)
        runs.wait()

    def key_that(self, act: Callable[[], object], *, at: int) -> OpenKey:
        """The head's key, doing something else at its so many-th signature."""
        numbers = itertools.count(1)

        def sign_data(data: bytes) -> bytes:
            if next(numbers) == at:
                act()
            return self.key.sign(data)

        return replace(self.key, sign=sign_data)

    def files(self, batch: SignBatch) -> list[BatchFile]:
        with reading(self.engine) as session:
            return read_files(session, batch.id)

    def progress(self, batch: SignBatch) -> Progress:
        with reading(self.engine) as session:
            return count_files(session, batch.id)

    def state(self, batch: SignBatch, *, at: datetime | None = None) -> BatchState:
        with reading(self.engine) as session:
            found = find_batch(session, batch.id, actor=self.head)
            return batch_state(found, count_files(session, batch.id), at or self.now)

    def assert_numbers_are_whole(self, count: int) -> None:
        with reading(self.engine) as session:
            sequences = session.exec(select(Permit.sequence).order_by(col(Permit.sequence))).all()
            assert sequences == list(range(1, count + 1))
            verify_chain(session)
