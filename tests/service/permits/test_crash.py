"""Issuing killed with SIGKILL at random moments, again and again: never a gap, never two.

The test runs this file as a program, which forks a child for each attempt: opening a database is cheap,
loading Python is not. A child finishes what an earlier one left `issuing`, then signs one more case.
"""

import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[3]
if __name__ == "__main__":
    sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import cases  # noqa: E402
import pytest  # noqa: E402
from cryptography.x509 import Certificate  # noqa: E402
from issuing import issue, open_desk  # noqa: E402
from sqlalchemy import Engine  # noqa: E402
from sqlmodel import Session, col, func, select  # noqa: E402

from keys.hierarchy import load_trust_anchors  # noqa: E402
from service import clock  # noqa: E402
from service.applications.models import Application  # noqa: E402
from service.audit import verify_chain  # noqa: E402
from service.database import reading, transaction  # noqa: E402
from service.permits.models import DocumentVersion, Permit, Status  # noqa: E402
from service.storage import Storage, get_document, open_storage  # noqa: E402
from service.transparency.log import prove_inclusion  # noqa: E402
from signing.validate import validate_document  # noqa: E402

KILLS = 200
CASES = 320
VALIDATED = 20
"""Validating takes longer than issuing: so many documents are validated, spread over all."""


# The program --------------------------------------------------------------------------------------


def fork_and_kill(database: str, storage: str, keys: Path) -> None:
    """Kill children at random moments of their work until `KILLS` were hit, then let one end it."""
    longest, kills, chance = 0.5, 0, random.Random(3375)
    while kills <= KILLS:
        begin = time.monotonic()
        child = os.fork()
        if child == 0:
            # A child never returns into the parent's code: it ends here, whatever happens.
            try:
                issue(open_desk(database, storage, keys), CASES if kills == KILLS else 1)
            finally:
                os._exit(1 if sys.exc_info()[0] else 0)
        if kills < KILLS:
            time.sleep(chance.uniform(0, longest))
            os.kill(child, signal.SIGKILL)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if status > 0:
            raise SystemExit("a child failed by itself")
        if status == 0:
            longest = min(longest, time.monotonic() - begin)
        kills += status == -signal.SIGKILL or kills == KILLS
    os.write(1, b"done\n")


# The test -----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_two_hundred_kills_leave_every_number_once_and_every_permit_signed(
    engine: Engine, tmp_path: Path
) -> None:
    keys, storage = tmp_path / "keys", (tmp_path / "storage").as_uri()
    cases.make_keys(keys, clock.now())
    with transaction(engine) as session:
        city = cases.make_city(session, clock.now())
        for _ in range(CASES):
            cases.bring_to_signature(session, city, clock.now())
    url = engine.url.render_as_string(hide_password=False)
    command = [sys.executable, __file__, url, storage, str(keys)]
    said = subprocess.run(command, capture_output=True, timeout=300)
    assert said.stdout.endswith(b"done\n"), said.stderr[-2000:]
    # Otherwise no kill ever hit an issuance after its number was taken, and nothing was shown.
    assert said.stdout.count(b"resumed") > KILLS // 20
    with reading(engine) as session:
        assert_every_case_has_its_permit(session)
        assert_every_document_is_whole(session, open_storage(storage), load_trust_anchors(keys))


def assert_every_case_has_its_permit(session: Session) -> None:
    permits = session.exec(select(Permit).order_by(col(Permit.sequence))).all()
    assert [permit.sequence for permit in permits] == list(range(1, CASES + 1))
    assert len({permit.number for permit in permits}) == CASES
    assert len({permit.application_id for permit in permits}) == CASES
    assert {permit.status for permit in permits} == {Status.ACTIVE}
    states = session.exec(select(Application.state).distinct()).all()
    assert states == ["approved"]
    verify_chain(session)


def assert_every_document_is_whole(session: Session, storage: Storage, anchors: list[Certificate]) -> None:
    assert session.exec(select(func.count(col(DocumentVersion.permit_id).distinct()))).one() == CASES
    versions = session.exec(select(DocumentVersion).order_by(col(DocumentVersion.log_index))).all()
    assert [version.log_index for version in versions] == list(range(CASES))
    for number, version in enumerate(versions):
        pdf = get_document(storage, version.sha256)
        assert hashlib.sha256(pdf).hexdigest() == version.sha256
        assert b"/ETSI.CAdES.detached" in pdf
        assert prove_inclusion(session, number) is not None
        if number % (CASES // VALIDATED) == 0:
            report = validate_document(pdf, anchors, at=clock.now())
            assert report.indication == "TOTAL-PASSED"


if __name__ == "__main__":
    fork_and_kill(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
