"""The documentation names what exists: settings, commands, make targets, tests, error codes, files."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from service import cli
from service.config import Settings
from service.errors import FOREIGN_ERRORS, ServiceError

ROOT = Path(__file__).parent.parent
README, OPERATIONS, INTEGRATION = "README.md", "docs/operations.md", "docs/integration.md"
PAGES = (README, OPERATIONS, INTEGRATION, "docs/decisions.md", "CONTRIBUTING.md", "CHANGELOG.md")
OF_THE_COMMAND_LINE = {
    "officer_unknown",
    "not_a_signer",
    "two_custodians_needed",
    "custodian_not_in_force",
    "chain_refused",
}
"""Refusals that only an operator sees."""


def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def test_every_setting_is_explained_with_its_default() -> None:
    rows = dict(re.findall(r"^\| `(CANTING_\w+)` \| ([^|]+) \|", text_of(OPERATIONS), re.MULTILINE))
    expected = {}
    for name, field in Settings.model_fields.items():
        default = field.get_default()
        default = default.get_secret_value() if hasattr(default, "get_secret_value") else default
        said = str(default).lower() if isinstance(default, bool) else str(default or "")
        expected[f"CANTING_{name.upper()}"] = (
            "required" if field.is_required() else f"`{said}`" if said and said != "0" else said or "empty"
        )
    expected["CANTING_TRUSTED_PROXY_HOPS"] = "`0`"
    assert rows == expected


@pytest.mark.parametrize("page", PAGES)
def test_every_setting_named_exists(page: str) -> None:
    known = {f"CANTING_{name.upper()}" for name in Settings.model_fields}
    assert set(re.findall(r"CANTING_[A-Z][A-Z_]+", text_of(page))) <= known


@pytest.mark.parametrize("page", PAGES)
def test_every_make_target_named_exists(page: str) -> None:
    targets = set(re.findall(r"^([a-z]+):", text_of("Makefile"), re.MULTILINE))
    assert set(re.findall(r"`(?:\w+=\S+ )?make ([a-z]+)", text_of(page))) <= targets


@pytest.mark.parametrize("page", PAGES)
def test_every_command_named_exists(page: str) -> None:
    commands = set(commands_of(typer.main.get_command(cli.app)))
    named = re.findall(r"(?:^|`| )canting ([a-z]+(?: [a-z-]+)?)", text_of(page), re.MULTILINE)
    unknown = {words for words in named if words not in commands and words.split()[0] not in commands}
    assert not unknown


def commands_of(group: Any) -> Iterator[str]:
    """Name every command that does something, with its group before it."""
    if not hasattr(group, "commands"):
        return
    for name, command in group.commands.items():
        within = list(commands_of(command))
        yield from (f"{name} {inner}" for inner in within) if within else (name,)


def test_every_guarantee_names_tests_that_exist() -> None:
    rows = re.findall(r"^\| .+ \| (`tests/.+) \|$", text_of(README), re.MULTILINE)
    assert len(rows) > 5
    for row in rows:
        path = ""
        for word in re.findall(r"`([^`]+)`", row):
            if word.endswith(".py"):
                path = word
            else:
                assert f"def {word}(" in text_of(path), f"{path} has no {word}"


def test_every_error_code_is_in_the_table() -> None:
    rows = re.findall(r"^\| [45]\d\d[^|]*\| ([^|]+) \|", text_of(INTEGRATION), re.MULTILINE)
    told = [code for row in rows for code in re.findall(r"`(\w+)`", row)]
    assert len(told) == len(set(told))
    known = {error.code for error in refusals_of(ServiceError)} | FOREIGN_ERRORS.keys()
    assert set(told) == known - OF_THE_COMMAND_LINE


def test_every_event_that_asks_for_attention_is_explained() -> None:
    table = text_of(OPERATIONS).partition("| event | meaning |")[2].partition("\n\n")[0]
    told = re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)
    sources = "\n".join(path.read_text() for path in (ROOT / "service").rglob("*.py"))
    assert set(re.findall(r'\b(?:log\.(?:warning|error)|_log)\(\s*"(\w+)"', sources)) <= set(told)
    assert [event for event in told if f'"{event}"' not in sources] == []


def refusals_of(parent: type[ServiceError]) -> Iterator[type[ServiceError]]:
    """Walk the service's own refusals, not those that a test defines."""
    for error in parent.__subclasses__():
        if error.__module__.startswith("service."):
            yield error
        yield from refusals_of(error)


@pytest.mark.parametrize("page", PAGES)
def test_every_file_linked_is_there(page: str) -> None:
    targets = re.findall(r'\]\(([^)#:]+)\)|src="([^"]+)"', text_of(page))
    for target in filter(None, (one or other for one, other in targets)):
        assert ((ROOT / page).parent / target).is_file(), target


def test_pictures_are_few_and_small() -> None:
    pictures = list((ROOT / "docs" / "images").iterdir())
    assert len(pictures) <= 8
    assert all(picture.stat().st_size <= 120_000 for picture in pictures)
