"""Writes workflow templates, included sections and default labels out into a type's own data.

A stored revision thus holds its whole way and its whole form, and needs no other file.
"""

from typing import Any

from service.catalogue.format import REQUEST_LABELS
from service.catalogue.source import Problem, Series, Table, locate


def resolve_permit_type(file: Table, workflows: Table, groups: Table, problems: list[Problem]) -> Table:
    """Return the type's data written out; what it refers to in vain is added to the problems."""
    table = file.without("workflow")
    if isinstance(file.get("workflow"), Table):
        table.put("steps", _steps(file, workflows, problems), file.lines["workflow"])
    if isinstance(file.get("sections"), Series):
        table.put("sections", _sections(file, groups, problems), file.lines["sections"])
    if isinstance(file.get("requests"), Series):
        table.put("request_labels", _request_labels(file, problems), file.lines["requests"])
    return table


def _refuse(table: Table, path: tuple[str | int, ...], name: object, problems: list[Problem]) -> None:
    problems.append(locate(table, path, f"'{name}' tidak dikenal.", f"'{name}' is not known."))


def _request_labels(file: Table, problems: list[Problem]) -> Table:
    defaults = {request.value: label.model_dump() for request, label in REQUEST_LABELS.items()}
    given = _table_in(file, "request_labels")
    labels = Table(file.file, file.lines["requests"])
    for request in (request for request in file["requests"] if isinstance(request, str)):
        if request in given:
            labels.put(request, given[request], given.lines[request])
        elif request in defaults:
            labels.put(request, defaults[request], labels.line)
    for request in given:
        if request not in labels:
            _refuse(file, ("request_labels", request), request, problems)
    return labels


def _sections(file: Table, groups: Table, problems: list[Problem]) -> Series:
    known = _table_in(groups, "field_groups")
    sections = Series(file.file, file.lines["sections"])
    for index, section in enumerate(file["sections"]):
        line = file["sections"].lines[index]
        if not isinstance(section, Table) or "include" not in section:
            sections.put(section, line)
            continue
        group = _table_in(known, section["include"])
        if not group:
            _refuse(file, ("sections", index, "include"), section["include"], problems)
            continue
        included = group.without()
        included.put("key", section["include"], included.line)
        sections.put(included, line)
    return sections


def _steps(file: Table, workflows: Table, problems: list[Problem]) -> Series:
    use = file["workflow"]
    for key in set(use) - {"template", "skip"}:
        _refuse(file, ("workflow", key), key, problems)
    template = _template(use.get("template"), (), file, ("workflow", "template"), workflows, problems)
    optional = [step.get("key") for step in template if step.get("optional") is True]
    skip = use.get("skip") if isinstance(use.get("skip"), Series) else []
    for index, key in enumerate(skip):
        if key not in optional:
            problems.append(
                locate(
                    file,
                    ("workflow", "skip", index),
                    f"'{key}' bukan langkah yang boleh dilewati (optional).",
                    f"'{key}' is not an optional step.",
                )
            )
    steps = Series(file.file, file.lines["workflow"])
    for step in template:
        if step.get("key") not in skip:
            steps.put(step, step.line)
    return steps


def _template(
    name: Any,
    chain: tuple[str, ...],
    user: Table,
    path: tuple[str | int, ...],
    workflows: Table,
    problems: list[Problem],
) -> list[Table]:
    """Return a template's steps, with those of the templates it extends; a circle is refused."""
    template = _table_in(_table_in(workflows, "workflows"), name)
    if not template or name in chain:
        _refuse(user, path, name, problems)
        return []
    steps = _tables(template.get("steps"))
    if "extends" in template:
        extended = template["extends"]
        steps += _template(extended, (*chain, name), template, ("extends",), workflows, problems)
    for after, added in _table_in(template, "insert_after").items():
        positions = [index for index, step in enumerate(steps) if step.get("key") == after]
        if not positions:
            _refuse(template, ("insert_after", after), after, problems)
        else:
            steps[positions[0] + 1 : positions[0] + 1] = _tables(added)
    return steps


def _table_in(table: Table, key: object) -> Table:
    found = table.get(key) if isinstance(key, str) else None
    return found if isinstance(found, Table) else Table(table.file, table.line)


def _tables(value: object) -> list[Table]:
    return [item for item in value if isinstance(item, Table)] if isinstance(value, Series) else []
