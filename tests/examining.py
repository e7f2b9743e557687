"""Verifying by a register with one permit in it, the file examined in the process of the test."""

import hashlib
import json
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlmodel import Session, select

from service.permits.models import DocumentVersion
from service.verification.evidence import examine_bundle
from service.verification.examination import Examination
from service.verification.examiner import examine, read_anchors
from service.verification.sandbox import Sandbox
from service.verification.verify import Reader, Verification

READER = Reader("en", "https://izin.contoh.invalid")
Verify = Callable[..., Verification]


class Examiner(Sandbox):
    """Examines in the process of the test, or answers what it is told; it keeps what it was asked.

    The limits of the real sandbox have tests of their own.
    """

    def __init__(self, anchors: Path, outside: Path | None = None, *, answer: Examination | None = None):
        super().__init__(anchors, outside)
        self.answer = answer
        self.asked: list[dict[str, Any]] = []

    def examine(
        self,
        pdf: bytes,
        at: datetime,
        crls: Sequence[bytes] = (),
        *,
        by_others: bool = False,
        detailed: bool = False,
    ) -> Examination:
        self.asked.append({"at": at, "crls": list(crls), "by_others": by_others, "detailed": detailed})
        if self.answer is not None:
            return self.answer
        findings = examine(pdf, read_anchors(self.anchors), at, crls)
        return Examination(json.loads(json.dumps(findings, default=datetime.isoformat)))

    def examine_bundle(self, bundle: bytes, at: datetime, crls: Sequence[bytes] = ()) -> Examination:
        self.asked.append({"bundle": bundle, "at": at, "crls": list(crls)})
        return self.answer or Examination(examine_bundle(bundle, read_anchors(self.anchors), at, crls))


def digest(pdf: bytes) -> str:
    return hashlib.sha256(pdf).hexdigest()


def register(session: Session, pdf: bytes, **more: Any) -> None:
    """Let the register's one version be of other bytes."""
    version = session.exec(select(DocumentVersion)).one()
    version.sqlmodel_update({"sha256": digest(pdf), **more})
    session.flush()
