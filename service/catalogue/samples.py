"""Made-up applications for the demonstration and the tests (`data/samples.yaml`)."""

import re
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from typing import Any

from service.catalogue.load import DATA_FOLDER
from service.catalogue.source import read_yaml


@dataclass(frozen=True, slots=True)
class Sample:
    """An application that would be accepted as it stands."""

    request: str
    applicant_kind: str
    values: dict[str, Any]


@cache
def _samples() -> dict[str, Any]:
    return dict(read_yaml(DATA_FOLDER, "samples.yaml")["samples"])


def sample_application(slug: str, today: date) -> Sample:
    """Return a sample of the type, with its dates counted from today. Raises KeyError."""
    sample = _samples()[slug]
    values = {key: _settle(value, today) for key, value in sample["values"].items()}
    return Sample(sample["request"], sample["applicant_kind"], values)


def _settle(value: Any, today: date) -> Any:
    if isinstance(value, list):
        return list(value)
    match = re.fullmatch(r"today(?: \+ ([0-9]+) days)?", value) if isinstance(value, str) else None
    return (today + timedelta(days=int(match[1] or 0))).isoformat() if match else value
