"""Living the demonstration's cases: every act through its verb, all cases together in order of time.

Each case is a generator that yields the moment of its next act and then does it, so that the audit
trail, the numbers and the log grow as they would have.
"""

import heapq
import itertools
import uuid
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from sqlalchemy import Engine
from sqlmodel import Session, col, select

from keys.timestamp import local_timestamper
from service.accounts.access import SIGNING_ROLE, Actor
from service.accounts.models import User
from service.applications import correct, draft, review, submit
from service.applications.asked import PAYMENT_RECEIPT, editable, permit_type_of, required_of, sections_of
from service.applications.calendar import holidays_between
from service.applications.deadlines import add_working_days, is_working_day
from service.applications.models import Application
from service.applications.remarks import Remark
from service.applications.transitions import speaks_for
from service.applications.uploads import ACCEPTED_MEDIA_TYPES
from service.applications.workflow import APPLICANT_ROLE, Action, State
from service.catalogue.samples import sample_application
from service.clock import CITY_TIMEZONE, city_date
from service.config import Settings, parse_wrapping_keys
from service.database import reading, transaction
from service.demo.papers import paper
from service.demo.scene import DemoCase, DemoCity
from service.permits.compose import compose_document, signature_block
from service.permits.issue import sign_application
from service.permits.mandates import mandate_for
from service.permits.models import Permit
from service.permits.revoke import revoke_permit, suspend_permit
from service.permits.sign import Workshop
from service.permits.signer import OpenKey, OperationsKeys
from service.permits.workshop import printing_of
from service.storage import Storage

PERSONAL = (
    "nik", "full_name", "birth_place", "birth_date", "sex", "address", "village", "phone", "email",
)  # fmt: skip
NOTES = {
    Action.RECOMMEND: "Persyaratan teknis terpenuhi. Direkomendasikan untuk disetujui.",
    Action.SUBMIT_REPORT: "Pemeriksaan dilakukan bersama pemohon.",
}
FINDING = "Sesuai dengan permohonan."


@dataclass(frozen=True, slots=True)
class Stage:
    """What the cases are played on."""

    settings: Settings
    engine: Engine
    storage: Storage
    keys: OperationsKeys
    signer: OpenKey
    city: DemoCity
    people: Mapping[str, Actor]
    """Everybody, by the local part of their address."""
    now: datetime


def play_cases(stage: Stage) -> None:
    """Live every case up to where it stands, in order of time."""
    order = itertools.count()
    waiting: list[tuple[datetime, int, Iterator[datetime]]] = []
    for number, case in enumerate(stage.city.cases):
        story = CaseStory(stage, case, number).live()
        waiting.append((next(story), next(order), story))
    heapq.heapify(waiting)
    while waiting:
        _, _, story = heapq.heappop(waiting)
        moment = next(story, None)
        if moment is not None:
            heapq.heappush(waiting, (moment, next(order), story))


class CaseStory:
    """One case being lived: its calendar, its people, and the acts that bring it on."""

    def __init__(self, stage: Stage, case: DemoCase, number: int) -> None:
        self.stage, self.case = stage, case
        today = city_date(stage.now)
        with reading(stage.engine) as session:
            self.holidays = holidays_between(session, range(today.year - 2, today.year + 1))
        self.citizen = stage.people[case.by]
        self.first_day = self._day_before(today, case.ago)
        self.hours = 0.3 + (number * 0.37) % 2
        self.keys = parse_wrapping_keys(stage.settings.wrapping_keys.get_secret_value())
        self.id = uuid.UUID(int=0)

    def _day_before(self, day: date, working_days: int) -> date:
        while working_days or not is_working_day(day, self.holidays):
            day -= timedelta(days=1)
            working_days -= is_working_day(day, self.holidays) and working_days > 0
        return day

    def moment(self, pause: float = 0.0) -> datetime:
        """Let so many working hours pass (eight a day from eight o'clock) and return the time."""
        self.hours += pause
        days, hour = divmod(self.hours, 8)
        day = add_working_days(self.first_day, int(days), self.holidays)
        opening = datetime.combine(day, time(8), CITY_TIMEZONE)
        return min(opening + timedelta(hours=hour), self.stage.now).astimezone(UTC)

    def live(self) -> Iterator[datetime]:
        """Yield the moment of each act, then do it."""
        case = self.case
        yield self.moment()
        self.start()
        if case.until == "draft":
            return
        yield self.moment(0.4)
        with transaction(self.stage.engine) as session:
            submit.submit_application(session, self.id, declared=True, actor=self.citizen, now=self.moment())
        if case.returned is not None:
            yield from self.return_once()
        if case.until == "returned":
            return
        while not self.has_arrived():
            yield self.moment(case.pace)
            self.step_on(self.moment())
        if case.until == "withdrawn":
            yield self.moment(case.pace)
            with transaction(self.stage.engine) as session:
                submit.withdraw_application(
                    session, self.id, actor=self.citizen, now=self.moment(), note=case.remark
                )
        if case.then is not None:
            yield self.moment(8.0 * case.after)
            self.follow_up(self.moment())

    # The applicant -------------------------------------------------------------------------------

    def start(self) -> None:
        """Start a draft, fill in every page and give every document asked for."""
        moment, case = self.moment(), self.case
        sample = sample_application(case.slug, city_date(moment))
        own = next(each.sample for each in self.stage.city.citizens if each.email.startswith(f"{case.by}@"))
        person = sample_application(own, city_date(moment)).values
        given = sample.values | {key: person[key] for key in PERSONAL if key in person} | case.values
        with transaction(self.stage.engine) as session:
            application = draft.start_draft(
                session,
                case.slug,
                request=case.request or sample.request,
                applicant_kind=case.applicant_kind or sample.applicant_kind,
                actor=self.citizen,
                now=moment,
                continues=self.first_permit(session) if case.request else None,
            )
            self.id = application.id
            permit_type = permit_type_of(session, application)
            for section in sections_of(permit_type, application):
                values = {field.key: given.get(field.key) for field in section.fields}
                draft.save_section(session, self.id, section.key, values, actor=self.citizen, now=moment)
            needed = required_of(permit_type, application)
            for document in needed[:2] if case.until == "draft" else needed:
                self.give(session, document.key, document.label.id, document.accept, moment)

    def give(self, session: Session, key: str, label: str, accept: Any, moment: datetime) -> None:
        """Give a file for a document: a picture where one is wanted, else a scan."""
        is_picture = "photo" in key or "pdf" not in accept
        media_type = ACCEPTED_MEDIA_TYPES["jpg" if is_picture else "pdf"]
        clean = paper(key, label, self.citizen.full_name, media_type=media_type)
        draft.add_document(
            session, self.stage.storage, self.keys, self.id, key, key, clean, actor=self.citizen, now=moment
        )

    def return_once(self) -> Iterator[datetime]:
        """Have the front office return it, and (unless it ends there) the applicant mend what was named."""
        asked = self.case.returned
        assert asked is not None
        remarks = [Remark("field", key, text) for key, text in asked.fields.items()]
        remarks += [Remark("document", key, text) for key, text in asked.documents.items()]
        yield self.moment(self.case.pace)
        with transaction(self.stage.engine) as session:
            officer = self.officer_for(session, "front_office", session.get_one(Application, self.id))
            review.return_case(session, self.id, remarks, actor=officer, now=self.moment(), seen_visit=None)
        if self.case.until == "returned":
            return
        yield self.moment(self.case.pace)
        self.mend(self.moment())

    def mend(self, moment: datetime) -> None:
        with transaction(self.stage.engine) as session:
            application = session.get_one(Application, self.id)
            permit_type = permit_type_of(session, application)
            labels = {document.key: document for document in permit_type.documents}
            for key in editable(session, application, permit_type, moment).documents:
                self.give(session, key, labels[key].label.id, labels[key].accept, moment)
            correct.resubmit_application(session, self.id, actor=self.citizen, now=moment)

    # The officers ---------------------------------------------------------------------------------

    def has_arrived(self) -> bool:
        with reading(self.stage.engine) as session:
            application = session.get_one(Application, self.id)
            if self.case.until == "withdrawn":
                return application.step == "review"
            return application.state != State.UNDER_REVIEW or application.step == self.case.at

    def step_on(self, moment: datetime) -> None:
        """Do what leads on from the step where the case stands."""
        with transaction(self.stage.engine) as session:
            application = session.get_one(Application, self.id)
            permit_type = permit_type_of(session, application)
            role = permit_type.step(application.step or "").role
            if role == APPLICANT_ROLE:
                self.give(session, PAYMENT_RECEIPT, "Bukti pembayaran", ("pdf",), moment)
                submit.pay(session, self.id, actor=self.citizen, now=moment)
                return
            officer = self.officer_for(session, role, application)
            actions = review.find_case(session, self.id, actor=officer).actions
            if Action.SIGN not in actions:
                self.act(session, actions, officer, moment)
                return
        self.sign(officer, moment)

    def act(self, session: Session, actions: Collection[Action], officer: Actor, moment: datetime) -> None:
        """Take the step's way on, or at the drafting step propose the case's rejection."""
        application = session.get_one(Application, self.id)
        details: Mapping[str, Any] = {"actor": officer, "now": moment, "seen_visit": None}
        if self.case.rejected and application.step == "draft":
            review.act_on_case(session, self.id, Action.PROPOSE_REJECTION, note=self.case.rejected, **details)
        elif Action.SUBMIT_REPORT in actions:
            items = permit_type_of(session, application).report_items
            findings = {item.key: FINDING for item in items}
            review.submit_report(session, self.id, findings, note=NOTES[Action.SUBMIT_REPORT], **details)
        else:
            onward = next(a for a in (Action.INITIAL, Action.RECOMMEND, Action.FORWARD) if a in actions)
            review.act_on_case(session, self.id, onward, note=NOTES.get(onward, ""), **details)

    def officer_for(self, session: Session, role: str, application: Application) -> Actor:
        """Return who holds the role and, at a technical agency, speaks for the type."""
        permit_type = permit_type_of(session, application)
        return next(
            actor
            for actor in self.stage.people.values()
            if actor.has_role(role) and speaks_for(session, actor, role, permit_type)
        )

    def sign(self, officer: Actor, moment: datetime) -> None:
        """Read the document and sign what was read."""
        stage, printing = self.stage, printing_of(self.stage.settings)
        with reading(stage.engine) as session:
            application = session.get_one(Application, self.id)
            mandate = mandate_for(session, officer.id, application.slug, city_date(moment))
            seen = compose_document(
                session,
                application,
                permit_type_of(session, application),
                signature=signature_block(session.get_one(User, officer.id), mandate),
                printing=printing,
                today=city_date(moment),
            )
        workshop = Workshop(
            stage.engine,
            stage.storage,
            local_timestamper(stage.keys.tsa, lambda: moment),
            lambda: moment,
            printing,
            seal=stage.keys.seal,
        )
        sign_application(workshop, self.id, actor=officer, signer=stage.signer, seen_digest=seen.digest)

    def first_permit(self, session: Session) -> str:
        """Return the code of the permit that is to be renewed or changed."""
        held = select(Permit.code).where(Permit.holder_id == self.citizen.id, Permit.slug == self.case.slug)
        return session.exec(held.order_by(col(Permit.created_at)).limit(1)).one()

    def follow_up(self, moment: datetime) -> None:
        decide = revoke_permit if self.case.then == "revoked" else suspend_permit
        with transaction(self.stage.engine) as session:
            permit = session.exec(select(Permit).where(Permit.application_id == self.id)).one()
            head = next(actor for actor in self.stage.people.values() if actor.has_role(SIGNING_ROLE))
            decide(
                session,
                permit.id,
                reason_code=self.case.reason,
                remark=self.case.remark,
                actor=head,
                now=moment,
            )
