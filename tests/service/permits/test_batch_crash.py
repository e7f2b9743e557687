"""A batch killed with SIGKILL again and again, and taken up each time, ends with every file signed once.

The test runs this file as a program, which forks a child for each run: a child takes the batch up, as the
official does who types the passphrase again, and is killed a moment after one of its signatures began.
"""

import itertools
import os
import random
import signal
import subprocess
import sys
import threading
import uuid
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).parents[3]
if __name__ == "__main__":
    sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import cases  # noqa: E402
import pytest  # noqa: E402
from factories import actor_of  # noqa: E402
from sqlalchemy import Engine  # noqa: E402
from sqlmodel import col, select  # noqa: E402

from keys.software import SoftwareKeyStore  # noqa: E402
from service import clock  # noqa: E402
from service.accounts.models import User  # noqa: E402
from service.audit import verify_chain  # noqa: E402
from service.database import open_engine, reading, transaction  # noqa: E402
from service.permits.batch import select_files, stop_batch  # noqa: E402
from service.permits.batch_progress import Progress, count_files  # noqa: E402
from service.permits.batch_run import BatchRuns  # noqa: E402
from service.permits.compose import Printing  # noqa: E402
from service.permits.desk import DeskFile  # noqa: E402
from service.permits.issue import Workshop, unfinished_issuances  # noqa: E402
from service.permits.models import DocumentVersion, Permit, SignBatch  # noqa: E402
from service.permits.signer import open_operations_keys  # noqa: E402
from service.storage import get_document, open_storage  # noqa: E402

KILLS, FILES = 12, 40
PRINTING = Printing("https://izin.contoh.invalid", is_sample=True)


# The program --------------------------------------------------------------------------------------


def run_batch(database: str, storage: str, keys: Path, deadly: int, delay: float) -> None:
    """Take the batch up and sign it to its end, or until so many seconds after the deadly signature."""
    engine = open_engine(database)
    operations = open_operations_keys(SoftwareKeyStore(keys), cases.OPERATIONS_PASSPHRASE, clock.now)
    workshop = Workshop(engine, open_storage(storage), operations.timestamper, clock.now, PRINTING)
    signer = SoftwareKeyStore(keys).open_key("official-head", cases.OFFICIAL_PASSPHRASE, now=clock.now())
    numbers = itertools.count(1)

    def sign(data: bytes) -> bytes:
        if next(numbers) == deadly:
            threading.Timer(delay, os.kill, (os.getpid(), signal.SIGKILL)).start()
        return signer.sign(data)

    with transaction(engine) as session:
        batch = session.exec(select(SignBatch)).one()
        head = actor_of(session, session.get_one(User, batch.official_id))
        if unfinished_issuances(session, head):
            os.write(1, b"unfinished\n")
        # The killed run's name still stands there: the official presses "Hentikan", or waits half a minute.
        stop_batch(session, batch.id, actor=head)
    runs = BatchRuns()
    runs.start(
        workshop, batch.id, actor=head, signer=replace(signer, sign=sign), seen_digest=batch.list_digest
    )
    runs.wait()


def fork_and_kill(database: str, storage: str, keys: Path) -> None:
    """Kill runs at random moments of their work, then let one end it."""
    chance = random.Random(3375)
    for number in range(KILLS + 1):
        deadly = chance.randint(1, 3) if number < KILLS else 0
        delay = chance.uniform(0, 0.06)
        child = os.fork()
        if child == 0:
            # A child never returns into the parent's code: it ends here, whatever happens.
            try:
                run_batch(database, storage, keys, deadly, delay)
            finally:
                os._exit(1 if sys.exc_info()[0] else 0)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if status != (-signal.SIGKILL if number < KILLS else 0):
            raise SystemExit("a child ended otherwise than meant")
    os.write(1, b"done\n")


# The test -----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_batch_killed_again_and_again_ends_with_every_file_signed_once(
    engine: Engine, tmp_path: Path
) -> None:
    keys, storage = tmp_path / "keys", (tmp_path / "storage").as_uri()
    cases.make_keys(keys, clock.now())
    with transaction(engine) as session:
        city = cases.make_city(session, clock.now())
        waiting = [cases.bring_to_signature(session, city, clock.now()) for _ in range(FILES)]
        head = actor_of(session, city.head)
    operations = open_operations_keys(SoftwareKeyStore(keys), cases.OPERATIONS_PASSPHRASE, clock.now)
    workshop = Workshop(engine, open_storage(storage), operations.timestamper, clock.now, PRINTING)
    files = [
        DeskFile(case.id, "permit", cases.digest_shown(workshop, city, case, clock.now())) for case in waiting
    ]
    with transaction(engine) as session:
        batch = select_files(session, files, actor=head, now=clock.now())
    url = engine.url.render_as_string(hide_password=False)
    command = [sys.executable, __file__, url, storage, str(keys)]
    said = subprocess.run(command, capture_output=True, timeout=120)
    assert said.stdout.endswith(b"done\n"), said.stderr[-2000:]
    # Otherwise no kill ever hit a file after its number was taken, and nothing was shown.
    assert said.stdout.count(b"unfinished") >= KILLS // 3
    assert_everything_is_signed(workshop, batch.id)


def assert_everything_is_signed(workshop: Workshop, batch_id: uuid.UUID) -> None:
    with reading(workshop.engine) as session:
        assert count_files(session, batch_id) == Progress(FILES, FILES, 0, 0, 0)
        sequences = session.exec(select(Permit.sequence).order_by(col(Permit.sequence))).all()
        assert sequences == list(range(1, FILES + 1))
        versions = session.exec(select(DocumentVersion)).all()
        assert sorted(version.log_index or 0 for version in versions) == list(range(FILES))
        for version in versions:
            assert b"/ETSI.CAdES.detached" in get_document(workshop.storage, version.sha256)
        verify_chain(session)


if __name__ == "__main__":
    fork_and_kill(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
