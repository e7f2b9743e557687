"""Nothing that deceives is ever genuine, and no file makes the service fail.

Every generator is sampled in each run; `make prove` runs all variants of all of them.
"""

import random
import time
from collections.abc import Callable
from itertools import islice

import pytest
from attacks.bombs import bombs
from attacks.conftest import NOW, Target
from attacks.impostors import foreign_signers, outside_the_service
from attacks.mutations import mutations
from attacks.replays import dressed_up, untouched
from attacks.structure import certification, gap_flips, signature_wrapping, universal_forgery
from attacks.surgery import Anatomy, Variants, dissect
from attacks.surroundings import metadata, tails_and_polyglots, validation_data
from attacks.updates import incremental_saving, shadow_hide, shadow_hide_and_replace, shadow_replace

from service.database import transaction
from service.permits.models import Permit, Status

ALTERATIONS: tuple[Callable[[Anatomy], Variants], ...] = (
    incremental_saving, shadow_hide, shadow_replace, shadow_hide_and_replace, signature_wrapping,
    universal_forgery, certification, gap_flips, metadata, validation_data, tails_and_polyglots,
)  # fmt: skip
IMPOSTORS = (foreign_signers, outside_the_service)
LEVELS = ("B-T", "B-LTA")
AT_LEAST = 20
SAMPLE = 2
SEED = 20261123


def variants_of(attack: Callable[..., Variants], target: Target, level: str) -> list[tuple[str, bytes]]:
    pdf = target.documents[level]
    if attack in IMPOSTORS:
        return list(attack(pdf, signer=target.signer, tsa=target.tsa, now=NOW))
    return list(attack(dissect(pdf)))


def require_not_genuine(target: Target, variants: list[tuple[str, bytes]]) -> None:
    deceived = [name for name, pdf in variants if target.verify(pdf)["verdict"] == "genuine"]
    assert deceived == []


@pytest.mark.parametrize("level", LEVELS)
def test_what_was_issued_is_genuine(target: Target, level: str) -> None:
    answer = target.verify(target.documents[level])
    assert (answer["verdict"], answer["signature"]["level"]) == ("genuine", level)  # type: ignore[index]


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("attack", ALTERATIONS)
def test_an_altered_document_is_told_as_such(
    target: Target, attack: Callable[[Anatomy], Variants], level: str
) -> None:
    """A sample of each generator: none is genuine, and most still name the permit they were made from."""
    variants = variants_of(attack, target, level)
    assert len({pdf for _, pdf in variants}) >= AT_LEAST
    assert target.documents[level] not in [pdf for _, pdf in variants]
    sample = random.Random(SEED).sample(variants, SAMPLE)
    verdicts = {name: target.verify(pdf)["verdict"] for name, pdf in sample}
    assert set(verdicts.values()) <= {"altered", "undecided"}, verdicts


@pytest.mark.parametrize("attack", IMPOSTORS)
def test_a_document_signed_elsewhere_is_not_genuine(target: Target, attack: Callable[..., Variants]) -> None:
    variants = variants_of(attack, target, "B-T")
    assert len({pdf for _, pdf in variants}) >= AT_LEAST
    require_not_genuine(target, random.Random(SEED).sample(variants, 2 * SAMPLE))


@pytest.mark.parametrize("attack", [*ALTERATIONS, *IMPOSTORS])
def test_telling_of_an_attack_in_detail_changes_no_verdict(
    target: Target, attack: Callable[..., Variants]
) -> None:
    _, pdf = random.Random(SEED).choice(variants_of(attack, target, "B-LTA"))
    simple, detailed = target.verify(pdf), target.verify(pdf, "detailed")

    assert {name: detailed[name] for name in ("verdict", "reasons")} == {
        name: simple[name] for name in ("verdict", "reasons")
    }


@pytest.mark.proof
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("attack", [*ALTERATIONS, *IMPOSTORS])
def test_no_variant_is_genuine(target: Target, attack: Callable[..., Variants], level: str) -> None:
    require_not_genuine(target, variants_of(attack, target, level))


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("count", [10, pytest.param(5000, marks=pytest.mark.proof)], ids=["sample", "proof"])
def test_no_damage_goes_unnoticed(target: Target, level: str, count: int) -> None:
    """Ten thousand damaged files in all: none is genuine, and no signature over one passes."""
    damaged = mutations(target.documents[level], random.Random(SEED))
    for name, pdf in islice(damaged, count):
        answer = target.verify(pdf)
        assert answer["verdict"] != "genuine", name
        signature: dict[str, object] = answer.get("signature") or {}  # type: ignore[assignment]
        assert signature.get("indication") != "TOTAL-PASSED", name


@pytest.mark.proof
def test_no_bomb_costs_more_than_its_budget(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(target.app.state.sandbox, "seconds", 3.0)
    spent = {}
    for name, pdf in bombs():
        begin = time.monotonic()
        verdict = target.verify(pdf)["verdict"]
        spent[name] = time.monotonic() - begin
        assert verdict in ("undecided", "unknown", "refused"), name
    assert max(spent.values()) < 5, spent


def test_an_older_version_stays_genuine_and_tells_the_registers_status(target: Target) -> None:
    """A replayed document is what was issued; what became of the permit since is told beside it."""
    with transaction(target.app.state.engine) as session:
        permit = session.get_one(Permit, target.issued.permit.id)
        permit.status = Status.REVOKED
        session.add(permit)
    try:
        for level in LEVELS:
            answer = target.verify(target.documents[level])
            assert (answer["verdict"], answer["permit"]["status"]) == ("genuine", "revoked")  # type: ignore[index]
    finally:
        with transaction(target.app.state.engine) as session:
            permit = session.get_one(Permit, target.issued.permit.id)
            permit.status = Status.ACTIVE
            session.add(permit)


def test_a_superseded_document_is_genuine_and_never_active(target: Target) -> None:
    for name, pdf in untouched(target.superseded):
        answer = target.verify(pdf)
        permit: dict[str, object] = answer["permit"]  # type: ignore[assignment]
        assert (answer["verdict"], permit["status"]) == ("genuine", "superseded"), name
        assert permit["superseded_by"] == target.successor.permit.number
    answer = target.verify(target.successor.pdf)
    assert (answer["verdict"], answer["permit"]["status"]) == ("genuine", "active")  # type: ignore[index]


def test_a_superseded_document_dressed_up_is_not_genuine(target: Target) -> None:
    variants = list(dressed_up(target.superseded, target.successor.pdf))
    assert len({pdf for _, pdf in variants}) >= AT_LEAST
    registered = {*target.superseded.values(), target.successor.pdf}
    assert not registered & {pdf for _, pdf in variants}
    require_not_genuine(target, random.Random(SEED).sample(variants, 3 * SAMPLE))


@pytest.mark.proof
def test_no_replay_of_a_superseded_document_is_active(target: Target) -> None:
    require_not_genuine(target, list(dressed_up(target.superseded, target.successor.pdf)))
