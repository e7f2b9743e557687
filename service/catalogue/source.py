"""The catalogue's YAML files as plain data in which every value knows its file and line.

Only plain YAML is read: no tags, anchors or aliases, no key twice, no dates (they stay text).
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

MAX_FILE_BYTES = 1_000_000
# The same YAML read by libyaml, several times faster, where the installed package was built with it.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """What is wrong with the catalogue, and where: `path` leads into the file's data."""

    file: str
    line: int
    path: str
    reason_id: str
    reason_en: str

    def text(self, language: str) -> str:
        """Write `file:line: path: reason` for a terminal."""
        reason = self.reason_en if language == "en" else self.reason_id
        return f"{self.file}:{self.line}: {self.path + ': ' if self.path else ''}{reason}"


class CatalogueError(Exception):
    """The catalogue is refused; `problems` says everything that was found."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = sorted(set(problems))
        super().__init__("\n".join(problem.text("en") for problem in self.problems))


class Table(dict[str, Any]):
    """A YAML mapping that knows where it and each of its keys stand."""

    def __init__(self, file: str, line: int) -> None:
        super().__init__()
        self.file, self.line = file, line
        self.lines: dict[str | int, int] = {}

    def put(self, key: str, value: Any, line: int) -> None:
        self[key] = value
        self.lines[key] = line

    def without(self, *keys: str) -> "Table":
        copy = Table(self.file, self.line)
        for key, value in self.items():
            if key not in keys:
                copy.put(key, value, self.lines[key])
        return copy


class Series(list[Any]):
    """A YAML sequence that knows where it and each of its items stand."""

    def __init__(self, file: str, line: int) -> None:
        super().__init__()
        self.file, self.line = file, line
        self.lines: dict[str | int, int] = {}

    def put(self, value: Any, line: int) -> None:
        self.lines[len(self)] = line
        self.append(value)


def locate(data: Table, path: Sequence[str | int], reason_id: str, reason_en: str) -> Problem:
    """Return the problem at the path, or at the nearest enclosing value that stands in a file."""
    place: Any = data
    file, line = data.file, data.line
    for part in path:
        if not isinstance(place, Table | Series) or part not in place.lines:
            break
        line = place.lines[part]
        place = place[part]  # type: ignore[index]
        if isinstance(place, Table | Series):
            # A part may come from another file, such as an included section.
            file, line = place.file, place.line if place.file != file else line
    return Problem(file, line, ".".join(str(part) for part in path), reason_id, reason_en)


def read_yaml(folder: Path, name: str) -> Table:
    """Read one file of the catalogue. Raises CatalogueError."""
    path = folder / name
    if not path.is_file():
        raise _refusal(name, 1, "Berkas ini tidak ada.", "This file is missing.")
    if path.stat().st_size > MAX_FILE_BYTES:
        raise _refusal(name, 1, "Berkas terlalu besar.", "The file is too large.")
    try:
        node = yaml.compose(path.read_text(encoding="utf-8"), Loader=LOADER)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        reason = " ".join(filter(None, [error.context, error.problem]))
        raise _refusal(
            name,
            mark.line + 1 if mark else 1,
            f"YAML tidak dapat dibaca: {reason}.",
            f"Not readable as YAML: {reason}.",
        ) from error
    except (UnicodeDecodeError, yaml.reader.ReaderError, RecursionError) as error:
        raise _refusal(
            name, 1, "Berkas bukan teks UTF-8 yang wajar.", "The file is not reasonable UTF-8 text."
        ) from error
    if not isinstance(node, yaml.MappingNode):
        raise _refusal(name, 1, "Berkas harus berisi kunci dan nilai.", "The file must hold keys and values.")
    problems: list[Problem] = []
    data = _table(node, name, (), problems, set())
    if problems:
        raise CatalogueError(problems)
    return data


def _refusal(name: str, line: int, reason_id: str, reason_en: str) -> CatalogueError:
    return CatalogueError([Problem(name, line, "", reason_id, reason_en)])


def _plain(node: yaml.Node, name: str, path: tuple[str, ...], problems: list[Problem], seen: set[int]) -> Any:
    line = node.start_mark.line + 1
    if id(node) in seen:
        problems.append(
            Problem(
                name,
                line,
                ".".join(path),
                "Alias YAML tidak diterima; tulis nilainya.",
                "YAML aliases are not accepted; write the value out.",
            )
        )
        return None
    seen.add(id(node))
    if isinstance(node, yaml.MappingNode):
        return _table(node, name, path, problems, seen)
    if isinstance(node, yaml.SequenceNode):
        series = Series(name, line)
        for index, item in enumerate(node.value):
            series.put(_plain(item, name, (*path, str(index)), problems, seen), item.start_mark.line + 1)
        return series
    return _scalar(node, name, path, problems)


def _table(
    node: yaml.MappingNode, name: str, path: tuple[str, ...], problems: list[Problem], seen: set[int]
) -> Table:
    table = Table(name, node.start_mark.line + 1)
    for key_node, value_node in node.value:
        key, line = str(key_node.value), key_node.start_mark.line + 1
        if key in table:
            problems.append(
                Problem(
                    name,
                    line,
                    ".".join((*path, key)),
                    "Kunci ini sudah ada di atas.",
                    "This key is already given above.",
                )
            )
        table.put(key, _plain(value_node, name, (*path, key), problems, seen), line)
    return table


def _scalar(node: yaml.Node, name: str, path: tuple[str, ...], problems: list[Problem]) -> Any:
    kind, text = node.tag.rpartition(":")[2], str(node.value)
    match kind:
        case "str" | "timestamp":
            return text
        case "null":
            return None
        case "bool" | "int" | "float":
            value = yaml.safe_load(text)
            if not isinstance(value, float) or math.isfinite(value):
                return value
    problems.append(
        Problem(
            name,
            node.start_mark.line + 1,
            ".".join(path),
            f"Jenis nilai YAML '{kind}' tidak diterima.",
            f"The YAML type '{kind}' is not accepted.",
        )
    )
    return None
