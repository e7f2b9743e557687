"""Receipts as JSON: whatever one states in a test must follow the published schema."""

import json
from typing import Any

from jsonschema import Draft202012Validator

from service.verification.receipt import SCHEMA
from signing.statement import open_statement

SCHEMA_VALIDATOR = Draft202012Validator(json.loads(SCHEMA.read_text()))


def stated(file: bytes) -> dict[str, Any]:
    """Return what a receipt states, unjudged but for its form."""
    statement, _, _ = open_statement(file)
    SCHEMA_VALIDATOR.validate(statement)
    return statement
