"""The workflow of an application, as values: what may happen where, and where it leads (DESIGN §3).

No database, no clock, no person's account: `next_standing` is the one place that knows the way, and
`may_act` the one place that knows the four-eyes rule. `transitions` applies both and writes.
"""

import uuid
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol

from service.errors import Conflict

APPLICANT_ROLE = "applicant"


class State(StrEnum):
    """Where an application stands (DESIGN §3). Only `transitions` assigns it."""

    DRAFT = "draft"
    SUBMITTED = "submitted"
    UNDER_REVIEW = "under_review"
    RETURNED = "returned"
    APPROVED = "approved"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"


DECIDED = frozenset({State.APPROVED, State.REJECTED})
ENDED = DECIDED | {State.WITHDRAWN}


class Outcome(StrEnum):
    """What the signer is asked to sign: the permit, or the rejection letter."""

    APPROVE = "approve"
    REJECT = "reject"


class Action(StrEnum):
    """Everything a person may do to an application."""

    SUBMIT = "submit"
    RESUBMIT = "resubmit"
    WITHDRAW = "withdraw"
    PAY = "pay"
    FORWARD = "forward"
    RETURN_FOR_COMPLETION = "return_for_completion"
    RETURN_TO_PREVIOUS = "return_to_previous"
    PROPOSE_REJECTION = "propose_rejection"
    RECOMMEND = "recommend"
    RECOMMEND_REJECTION = "recommend_rejection"
    SUBMIT_REPORT = "submit_report"
    INITIAL = "initial"
    SIGN = "sign"


APPLICANT_ACTIONS = frozenset({Action.SUBMIT, Action.RESUBMIT, Action.WITHDRAW, Action.PAY})
"""What the applicant does; everything else belongs to the officers of the step's role."""

ONWARD = frozenset(
    {
        Action.PAY,
        Action.FORWARD,
        Action.RECOMMEND,
        Action.RECOMMEND_REJECTION,
        Action.SUBMIT_REPORT,
        Action.INITIAL,
    }
)
"""Actions that lead to the next step. A recommendation against goes on too: the back office decides."""


class Step(Protocol):
    """A step of a permit type's workflow, as the catalogue describes it."""

    @property
    def key(self) -> str: ...
    @property
    def role(self) -> str: ...
    @property
    def actions(self) -> Collection[str]: ...
    @property
    def share(self) -> float:
        """This step's weight in the whole of the working days."""
        ...

    @property
    def automatic(self) -> bool:
        """Done by the service itself; no case ever stands there."""
        ...

    @property
    def pauses_clock(self) -> bool: ...


class Visit(Protocol):
    """One stay at one step, as far as the four-eyes rule looks at it."""

    @property
    def step(self) -> str: ...
    @property
    def role(self) -> str: ...
    @property
    def actor_id(self) -> uuid.UUID | None: ...


@dataclass(frozen=True, slots=True)
class Standing:
    """Where an application stands: its state, its step while under review or returned, and the outcome."""

    state: State = State.DRAFT
    step: str | None = None
    outcome: Outcome = Outcome.APPROVE
    proposed_at: str | None = None
    """The step that proposed the rejection, to which a superior sends the proposal back."""
    paid: bool = False
    """A payment that was made is not asked for again when a case comes by a second time."""


class ActionNotAllowed(Conflict):
    """The workflow knows no such action where the application stands."""

    code = "action_not_allowed"
    message_id = (
        "Tindakan ini tidak tersedia pada tahap permohonan sekarang. Muat ulang halaman lalu periksa."
    )
    message_en = "This cannot be done at the application's present step. Reload the page and check."


def allowed_actions(standing: Standing, steps: Sequence[Step]) -> frozenset[Action]:
    """Return everything that somebody may do where the application stands."""
    match standing.state:
        case State.DRAFT:
            return frozenset({Action.SUBMIT, Action.WITHDRAW})
        case State.SUBMITTED:
            return frozenset({Action.WITHDRAW})
        case State.RETURNED:
            return frozenset({Action.RESUBMIT, Action.WITHDRAW})
        case State.UNDER_REVIEW:
            step = step_named(steps, standing.step)
            known = frozenset(action for action in Action if action in step.actions)
            return known if Action.SIGN in known else known | {Action.WITHDRAW}
        case _:
            return frozenset()


def next_standing(standing: Standing, action: Action, steps: Sequence[Step]) -> Standing:
    """Return where the action leads. Raises ActionNotAllowed.

    Raises ValueError for a workflow that names no such step or ends before a signature, which the
    catalogue refuses when it is loaded.
    """
    if action not in allowed_actions(standing, steps):
        raise ActionNotAllowed
    match action:
        case Action.SUBMIT:
            return replace(standing, state=State.UNDER_REVIEW, step=_first_on(steps, 0, standing).key)
        case Action.RESUBMIT:
            return replace(standing, state=State.UNDER_REVIEW)
        case Action.RETURN_FOR_COMPLETION:
            return replace(standing, state=State.RETURNED)
        case Action.WITHDRAW:
            return replace(standing, state=State.WITHDRAWN, step=None)
        case Action.PROPOSE_REJECTION:
            chain = decision_chain(steps)
            return replace(standing, step=chain[0].key, outcome=Outcome.REJECT, proposed_at=standing.step)
        case Action.RETURN_TO_PREVIOUS:
            return _sent_back(standing, steps)
        case Action.SIGN:
            decided = State.APPROVED if standing.outcome == Outcome.APPROVE else State.REJECTED
            return replace(standing, state=decided, step=None)
        case _:
            now = replace(standing, paid=standing.paid or action == Action.PAY)
            return replace(now, step=_first_on(steps, _position(steps, standing.step) + 1, now).key)


def step_named(steps: Sequence[Step], key: str | None) -> Step:
    """Return the step of that key. Raises ValueError when the workflow has none."""
    return steps[_position(steps, key)]


def decision_chain(steps: Sequence[Step]) -> Sequence[Step]:
    """Return the steps a decision passes: from the first initial (paraf), or else the signature, on."""
    for position, step in enumerate(steps):
        if Action.INITIAL in step.actions or Action.SIGN in step.actions:
            return steps[position:]
    raise ValueError("a workflow needs a step that signs")


def _sent_back(standing: Standing, steps: Sequence[Step]) -> Standing:
    chain = decision_chain(steps)
    if standing.outcome == Outcome.REJECT and standing.step == chain[0].key:
        proposer = standing.proposed_at or _last_proposer(steps)
        return replace(standing, step=proposer, outcome=Outcome.APPROVE, proposed_at=None)
    for step in reversed(steps[: _position(steps, standing.step)]):
        if not step.automatic and step.role != APPLICANT_ROLE:
            return replace(standing, step=step.key)
    raise ActionNotAllowed


def _last_proposer(steps: Sequence[Step]) -> str:
    proposers = [step.key for step in steps if Action.PROPOSE_REJECTION in step.actions]
    if not proposers:
        raise ActionNotAllowed
    return proposers[-1]


def _first_on(steps: Sequence[Step], position: int, standing: Standing) -> Step:
    for step in steps[position:]:
        if not step.automatic and not (standing.paid and Action.PAY in step.actions):
            return step
    raise ValueError("a workflow must end with a step that signs")


def _position(steps: Sequence[Step], key: str | None) -> int:
    for position, step in enumerate(steps):
        if step.key == key:
            return position
    raise ValueError(f"the workflow has no step {key!r}")


# Four eyes ------------------------------------------------------------------------------------


class Refusal(StrEnum):
    """Why a person may not act at a step, whatever their role."""

    OWN_APPLICATION = "own_application"
    REVIEWED_BEFORE = "reviewed_before"


def may_act(
    actor_id: uuid.UUID, applicant_id: uuid.UUID, visits: Iterable[Visit], step: Step
) -> Refusal | None:
    """Apply the four-eyes rule: return why the person may not act at the step, or None.

    Nobody acts on their own application; nobody signs what they handled at another step; nobody
    initials what they handled in another role. Reviewing the same case twice in one role is no breach.
    """
    if actor_id == applicant_id:
        return Refusal.OWN_APPLICATION
    own = [visit for visit in visits if visit.actor_id == actor_id]
    signs = Action.SIGN in step.actions and any(visit.step != step.key for visit in own)
    initials = Action.INITIAL in step.actions and any(visit.role != step.role for visit in own)
    return Refusal.REVIEWED_BEFORE if signs or initials else None
