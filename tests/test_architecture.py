"""The rules of the house that a program can check: layout, imports, the "never" list, policies, language."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from babel.messages.extract import extract_from_file
from fastapi import FastAPI

from service.openapi import api_routes, policy_of
from service.web import HERE, english_messages

ROOT = Path(__file__).parent.parent
SOURCES = sorted(
    path for package in ("keys", "signing", "service") for path in (ROOT / package).rglob("*.py")
)
NEVER_NAMED = {"utils.py", "helpers.py", "common.py"}
LONGEST_FILE, LONGEST_FUNCTION = 400, 50
MIGRATIONS = "service/migrations/"


def trees() -> Iterator[tuple[Path, ast.Module]]:
    for path in SOURCES:
        yield path.relative_to(ROOT), ast.parse(path.read_text())


def places(path: Path, nodes: Iterator[ast.AST]) -> list[str]:
    return [f"{path}:{getattr(node, 'lineno', 0)}" for node in nodes]


def test_imports_follow_the_layers() -> None:
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout[-4000:]


def test_no_file_is_named_after_nothing() -> None:
    assert not [path for path, _ in trees() if path.name in NEVER_NAMED]
    assert not [path for path, _ in trees() if path.name == "service.py"]


def test_time_is_read_in_the_clock_alone() -> None:
    found = []
    for path, tree in trees():
        calls = (
            node
            for node in ast.walk(tree)
            if isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in {"now", "utcnow", "today"}
            and ast.unparse(node.func.value) in {"datetime", "date", "dt.datetime", "datetime.datetime"}
        )
        found += places(path, calls)
    assert [place for place in found if not place.startswith("service/clock.py")] == []


def test_only_the_database_commits() -> None:
    found = []
    for path, tree in trees():
        calls = (
            node
            for node in ast.walk(tree)
            if isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == "commit"
        )
        found += places(path, calls)
    assert {place.split(":")[0] for place in found} == {"service/database.py"}


def test_http_exceptions_are_raised_at_the_doors_alone() -> None:
    found = []
    for path, tree in trees():
        if path.name not in {"api.py", "pages.py", "app.py"}:
            names = (
                node for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id == "HTTPException"
            )
            found += places(path, names)
    assert found == []


def assignments(tree: ast.Module, attribute: str, owner: str) -> Iterator[ast.AST]:
    """Assignments such as `application.state = …`, also within a tuple."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            for target in ast.walk(ast.Tuple(elts=node.targets)):
                if (
                    isinstance(target, ast.Attribute)
                    and target.attr == attribute
                    and ast.unparse(target.value).endswith(owner)
                ):
                    yield node


def test_a_state_is_assigned_where_the_workflow_is_applied() -> None:
    found = [
        place for path, tree in trees() for place in places(path, assignments(tree, "state", "application"))
    ]
    assert {place.split(":")[0] for place in found} == {"service/applications/transitions.py"}
    found = [place for path, tree in trees() for place in places(path, assignments(tree, "status", "permit"))]
    assert {place.split(":")[0] for place in found} == {"service/permits/status.py"}


def test_every_ignored_type_says_which() -> None:
    pattern = re.compile(r"#\s*type:\s*ignore(?!\[)")
    assert not [path for path in SOURCES if pattern.search(path.read_text())]


def test_no_abstract_class_has_but_one_child() -> None:
    """A concrete error or answer may be narrowed once; an abstraction for one case is refused."""
    classes = [node for _, tree in trees() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    abstract = {node.name for node in classes if "NotImplementedError" in ast.unparse(node)}
    abstract |= {node.name for node in classes if any(ast.unparse(base) == "ABC" for base in node.bases)}
    children = {
        name: [node.name for node in classes if name in map(ast.unparse, node.bases)] for name in abstract
    }
    assert {name: found for name, found in children.items() if len(found) < 2} == {}


def test_files_and_functions_stay_small() -> None:
    """A migration only lists tables: there nobody looks for a place to change."""
    long_files, long_functions = [], []
    for path, tree in trees():
        if str(path).startswith(MIGRATIONS):
            continue
        if (ROOT / path).read_text().count("\n") > LONGEST_FILE:
            long_files.append(str(path))
        long_functions += [
            f"{path}:{node.name}"
            for node in ast.walk(tree)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            and (node.end_lineno or 0) - node.lineno + 1 > LONGEST_FUNCTION
        ]
    assert long_files == []
    assert long_functions == []


def test_no_private_key_is_in_the_checkout() -> None:
    command = ["git", "grep", "-l", "-E", "BEGIN ([A-Z]+ )?PRIVATE" + " KEY"]
    assert subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout == ""


# Policies -------------------------------------------------------------------------------------


def test_every_route_declares_its_policy(app: FastAPI) -> None:
    routes = list(api_routes(app.routes))
    assert len(routes) > 50
    assert [route.path for route in routes if policy_of(route) is None] == []


# Language -------------------------------------------------------------------------------------


def template_messages() -> set[str]:
    found = set()
    for path in sorted((HERE / "templates").rglob("*.html")):
        for _, message, _, _ in extract_from_file(
            "jinja2.ext:babel_extract", str(path), options={"extensions": "jinja2.ext.do", "silent": "false"}
        ):
            found |= {message} if isinstance(message, str) else set(message)
    return found


def test_every_sentence_of_a_page_is_said_in_english_too() -> None:
    messages = template_messages()
    assert len(messages) > 100
    assert sorted(messages - set(english_messages())) == []


def test_translations_keep_their_placeholders() -> None:
    names = re.compile(r"%\((\w+)\)s|\{(\w+)\}")
    for indonesian, english in english_messages().items():
        assert sorted(names.findall(indonesian)) == sorted(names.findall(english)), indonesian
