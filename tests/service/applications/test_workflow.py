"""The workflow as values: where each action leads, and that no way ends in a dead end."""

import uuid
from dataclasses import dataclass
from typing import Any

import pytest
from factories import city_catalogue
from hypothesis import given
from hypothesis import strategies as st

from service.applications.workflow import (
    APPLICANT_ACTIONS,
    DECIDED,
    ENDED,
    Action,
    ActionNotAllowed,
    Outcome,
    Refusal,
    Standing,
    State,
    allowed_actions,
    decision_chain,
    may_act,
    next_standing,
    step_named,
)


@dataclass(frozen=True)
class Step:
    key: str
    role: str
    actions: tuple[str, ...]
    share: float = 1
    automatic: bool = False
    pauses_clock: bool = False


@dataclass(frozen=True)
class Visit:
    step: str
    role: str
    actor_id: uuid.UUID | None


COMPLETENESS = Step("completeness", "front_office", ("forward", "return_for_completion"))
REVIEW = Step(
    "review",
    "back_office",
    ("forward", "return_for_completion", "return_to_previous", "propose_rejection"),
)
FIELD_VISIT = Step("field_visit", "technical_team", ("submit_report", "return_to_previous"))
OPINION = Step(
    "agency_opinion", "technical_agency", ("recommend", "recommend_rejection", "return_to_previous")
)
PAYMENT = Step("payment", "applicant", ("pay",), 0, pauses_clock=True)
DRAFT = Step("draft", "back_office", ("forward", "return_to_previous", "propose_rejection"))
ANALYST = Step("initial_analyst", "licensing_analyst", ("initial", "return_to_previous"))
DIVISION = Step("initial_division", "division_head", ("initial", "return_to_previous"))
SIGN = Step("sign", "department_head", ("sign", "return_to_previous"))
ISSUE = Step("issue", "front_office", ("issue",), 0, automatic=True)

DESK = (COMPLETENESS, REVIEW, OPINION, DRAFT, ANALYST, DIVISION, SIGN, ISSUE)
PAID = (COMPLETENESS, REVIEW, FIELD_VISIT, OPINION, PAYMENT, DRAFT, ANALYST, DIVISION, SIGN, ISSUE)
BARE = (Step("check", "back_office", ("forward", "propose_rejection")), SIGN)
WORKFLOWS: list[tuple[Any, ...]] = [
    BARE,
    *dict.fromkeys(item.steps for item in city_catalogue().permit_types),
]
"""Every way of the city's own catalogue, and the shortest there is."""


def follow(steps: tuple[Step, ...], *actions: Action) -> Standing:
    standing = Standing()
    for action in actions:
        standing = next_standing(standing, action, steps)
    return standing


def reachable(steps: tuple[Step, ...]) -> set[Standing]:
    found, fresh = {Standing()}, [Standing()]
    while fresh:
        standing = fresh.pop()
        for action in allowed_actions(standing, steps):
            try:
                following = next_standing(standing, action, steps)
            except ActionNotAllowed:
                continue
            if following not in found:
                found.add(following)
                fresh.append(following)
    return found


def test_a_plain_application_goes_through_every_step_to_approval() -> None:
    a = Action
    standing = follow(
        DESK, a.SUBMIT, a.FORWARD, a.FORWARD, a.RECOMMEND, a.FORWARD, a.INITIAL, a.INITIAL, a.SIGN
    )
    assert standing == Standing(State.APPROVED)


def test_a_returned_application_comes_back_to_the_same_step() -> None:
    returned = follow(DESK, Action.SUBMIT, Action.FORWARD, Action.RETURN_FOR_COMPLETION)
    assert returned == Standing(State.RETURNED, "review")
    assert next_standing(returned, Action.RESUBMIT, DESK) == Standing(State.UNDER_REVIEW, "review")


def test_a_recommendation_against_goes_on_and_the_back_office_decides() -> None:
    standing = follow(DESK, Action.SUBMIT, Action.FORWARD, Action.FORWARD, Action.RECOMMEND_REJECTION)
    assert standing == Standing(State.UNDER_REVIEW, "draft")


def test_a_proposed_rejection_skips_to_the_initials_and_ends_rejected() -> None:
    proposed = follow(DESK, Action.SUBMIT, Action.FORWARD, Action.PROPOSE_REJECTION)
    assert (proposed.step, proposed.outcome) == ("initial_analyst", Outcome.REJECT)
    for action in (Action.INITIAL, Action.INITIAL, Action.SIGN):
        proposed = next_standing(proposed, action, DESK)
    assert proposed.state == State.REJECTED


@pytest.mark.parametrize("steps", [DESK, PAID])
def test_a_proposal_sent_back_returns_to_its_proposer_so_that_no_opinion_is_skipped(
    steps: tuple[Step, ...],
) -> None:
    sent_back = follow(
        steps, Action.SUBMIT, Action.FORWARD, Action.PROPOSE_REJECTION, Action.RETURN_TO_PREVIOUS
    )
    assert sent_back == Standing(State.UNDER_REVIEW, "review")


def test_a_proposal_without_initials_is_sent_back_from_the_signature() -> None:
    sent_back = follow(BARE, Action.SUBMIT, Action.PROPOSE_REJECTION, Action.RETURN_TO_PREVIOUS)
    assert sent_back == Standing(State.UNDER_REVIEW, "check")


def test_sending_back_passes_over_the_payment_which_is_not_asked_again() -> None:
    a = Action
    drafting = follow(PAID, a.SUBMIT, a.FORWARD, a.FORWARD, a.SUBMIT_REPORT, a.RECOMMEND, a.PAY)
    assert drafting.step == "draft"
    back = next_standing(drafting, Action.RETURN_TO_PREVIOUS, PAID)
    assert back.step == "agency_opinion"
    assert next_standing(back, Action.RECOMMEND, PAID).step == "draft"


@pytest.mark.parametrize(
    ("actions", "action"),
    [
        ((), Action.FORWARD),
        ((Action.SUBMIT,), Action.SUBMIT),
        ((Action.SUBMIT,), Action.SIGN),
        ((Action.SUBMIT, Action.FORWARD), Action.INITIAL),
        ((Action.SUBMIT, Action.RETURN_FOR_COMPLETION), Action.FORWARD),
        ((Action.SUBMIT, Action.WITHDRAW), Action.RESUBMIT),
    ],
)
def test_what_the_step_does_not_know_is_refused(actions: tuple[Action, ...], action: Action) -> None:
    with pytest.raises(ActionNotAllowed):
        next_standing(follow(DESK, *actions), action, DESK)


def test_nothing_can_be_sent_back_from_the_first_step() -> None:
    steps = (Step("check", "front_office", ("forward", "return_to_previous")), SIGN)
    with pytest.raises(ActionNotAllowed):
        follow(steps, Action.SUBMIT, Action.RETURN_TO_PREVIOUS)


def test_a_workflow_without_a_signature_is_a_fault_of_the_catalogue() -> None:
    steps = (Step("check", "front_office", ("forward",)), ISSUE)
    with pytest.raises(ValueError, match="signs"):
        follow(steps, Action.SUBMIT, Action.FORWARD)


WAYS = pytest.mark.parametrize("steps", WORKFLOWS, ids=lambda steps: f"{len(steps)} steps")


@WAYS
def test_every_reachable_standing_can_still_be_decided_or_has_ended(steps: tuple[Step, ...]) -> None:
    for standing in reachable(steps) - {s for s in reachable(steps) if s.state in ENDED}:
        assert DECIDED & {after.state for after in _reachable_from(standing, steps)}


def _reachable_from(standing: Standing, steps: tuple[Step, ...]) -> set[Standing]:
    found, fresh = {standing}, [standing]
    while fresh:
        here = fresh.pop()
        for action in allowed_actions(here, steps):
            try:
                following = next_standing(here, action, steps)
            except ActionNotAllowed:
                continue
            if following not in found:
                found.add(following)
                fresh.append(following)
    return found


@WAYS
def test_only_the_step_that_signs_decides_and_nothing_is_withdrawn_there(steps: tuple[Step, ...]) -> None:
    for standing in reachable(steps):
        for action in allowed_actions(standing, steps):
            if action == Action.SIGN:
                assert standing.step == "sign"
                assert Action.WITHDRAW not in allowed_actions(standing, steps)
        if standing.state == State.UNDER_REVIEW:
            assert not step_named(steps, standing.step).automatic


@given(st.sampled_from(WORKFLOWS), st.lists(st.sampled_from(Action), max_size=40))
def test_an_approval_has_passed_every_step_and_a_rejection_was_proposed(
    steps: tuple[Step, ...], actions: list[Action]
) -> None:
    standing, passed, last = Standing(), list[str | None](), None
    for action in actions:
        try:
            following = next_standing(standing, action, steps)
        except ActionNotAllowed:
            continue
        passed.append(standing.step)
        standing, last = following, action
    if standing.state in DECIDED:
        assert last == Action.SIGN
        must = steps if standing.state == State.APPROVED else decision_chain(steps)
        assert {step.key for step in must if not step.automatic} <= set(passed)
    if standing.outcome == Outcome.REJECT:
        assert standing.proposed_at in {"review", "draft", "check"}


def test_what_the_applicant_does_is_never_an_officers_action() -> None:
    named = {
        action for steps in WORKFLOWS for step in steps if step.role != "applicant" for action in step.actions
    }
    assert not named & set(APPLICANT_ACTIONS)


# Four eyes ------------------------------------------------------------------------------------

OFFICER, APPLICANT = uuid.uuid4(), uuid.uuid4()


@pytest.mark.parametrize("step", [COMPLETENESS, REVIEW, OPINION, ANALYST, SIGN])
def test_nobody_acts_on_their_own_application(step: Step) -> None:
    assert may_act(APPLICANT, APPLICANT, [], step) == Refusal.OWN_APPLICATION


@pytest.mark.parametrize(
    ("handled", "step", "refusal"),
    [
        (COMPLETENESS, SIGN, Refusal.REVIEWED_BEFORE),
        (ANALYST, SIGN, Refusal.REVIEWED_BEFORE),
        (REVIEW, ANALYST, Refusal.REVIEWED_BEFORE),
        (ANALYST, DIVISION, Refusal.REVIEWED_BEFORE),
        (SIGN, SIGN, None),
        (ANALYST, ANALYST, None),
        (REVIEW, DRAFT, None),
        (COMPLETENESS, REVIEW, None),
    ],
)
def test_who_handled_a_case_may_not_decide_it(handled: Step, step: Step, refusal: Refusal | None) -> None:
    visits = [Visit(handled.key, handled.role, OFFICER)]
    assert may_act(OFFICER, APPLICANT, visits, step) == refusal
    assert may_act(uuid.uuid4(), APPLICANT, visits, step) is None
