"""The API keeps what its description promises, whoever asks and whatever they send.

Schemathesis reads the OpenAPI document and sends each operation its examples, the edges of every
parameter and random values, valid and not, as each kind of person, to a city with real rows.
`CANTING_API_EXAMPLES` raises the number of random values (default 10).
"""

import copy
import os
from collections.abc import Callable, Iterator
from typing import Any

import jsonschema
import pytest
import schemathesis
from asking import JSON, PEOPLE, Asking, House, example_of, fresh_rows, open_house, policies
from fastapi import FastAPI, Response
from hypothesis import HealthCheck, Phase
from hypothesis import settings as hypothesis_settings
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.generation.hypothesis.builder import (
    HypothesisTestConfig,
    HypothesisTestMode,
    create_test,
)
from schemathesis.python import asgi
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    ignored_auth,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)
from sqlalchemy import Engine

from service.accounts.access import Policy
from service.config import Settings

schemathesis.serializer.alias(
    ["application/timestamp-query", "application/ocsp-request"], "application/octet-stream"
)

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
    unsupported_method,
    ignored_auth,
]
EXAMPLES = int(os.environ.get("CANTING_API_EXAMPLES", "10"))
THOROUGH = hypothesis_settings(
    max_examples=EXAMPLES,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.generate),
    print_blob=False,
)
BRIEF = hypothesis_settings(THOROUGH, max_examples=2)


@pytest.fixture
def house(engine: Engine, settings: Settings) -> Iterator[House]:
    with open_house(engine, settings) as house:
        yield house
        asgi.shutdown_lifespans()


def with_known_values(document: dict[str, Any], known: dict[str, list[str]]) -> dict[str, Any]:
    """Narrow the document's path parameters and the fields of these names, so that right values meet rows."""
    document = copy.deepcopy(document)
    for item in document["paths"].values():
        for operation in item.values():
            for parameter in operation.get("parameters", []):
                if parameter["in"] == "path":
                    parameter.pop("example", None)
                    parameter["schema"] = {"type": "string", "enum": known[parameter["name"]]}
    for title, schema in document["components"]["schemas"].items():
        if title in {"SigningOrder", "OrderedFile", "BatchOrder", "ResumeOrder"} or title.startswith("Body_"):
            for name in schema["properties"].keys() & known.keys():
                schema["properties"][name] = {"type": "string", "enum": known[name]}
    return document


def sender(asking: Asking, policy: Policy) -> Callable[[schemathesis.Case], None]:
    """Return the function that sends a case as this person and checks the answer."""

    def send(case: schemathesis.Case) -> None:
        case.call_and_validate(headers=asking.headers(policy), checks=CHECKS)

    return send


@pytest.mark.slow
@pytest.mark.parametrize("kind", PEOPLE)
def test_every_operation_keeps_its_promises(house: House, kind: str, subtests: pytest.Subtests) -> None:
    document = house.app.openapi()
    asking = Asking(house, kind)
    config = schemathesis.Config.from_dict(
        {"generation": {"deterministic": True, "database": "none", "with-security-parameters": False}}
    )
    rows = fresh_rows(house, kind)
    for label, policy in policies(house.app).items():
        method, path = label.split(" ")
        allowed = asking.is_allowed(policy)
        if allowed and method != "GET" and "{" in path:
            rows = fresh_rows(house, kind)
        schema = schemathesis.openapi.from_dict(with_known_values(document, rows), config=config)
        schema.app = house.app
        # Whoever is refused at the door is refused alike, whatever they carry.
        modes = list(HypothesisTestMode) if allowed else [HypothesisTestMode.FUZZING]
        run = HypothesisTestConfig(schema.config, modes, THOROUGH if allowed else BRIEF)
        with subtests.test(label):
            create_test(operation=schema[path][method], test_func=sender(asking, policy), config=run)()


def test_a_broken_promise_is_noticed() -> None:
    app = FastAPI()

    @app.get("/number")
    def number() -> Response:
        return Response('"not a number"', media_type="application/json")

    document = app.openapi()
    responses = document["paths"]["/number"]["get"]["responses"]
    responses["200"]["content"]["application/json"]["schema"] = {"type": "integer"}
    schema = schemathesis.openapi.from_dict(document)
    schema.app = app

    def send(case: schemathesis.Case) -> None:
        case.call_and_validate(checks=CHECKS)

    modes = [HypothesisTestMode.FUZZING]
    config = HypothesisTestConfig(project=schema.config, modes=modes, settings=BRIEF)
    with pytest.raises(FailureGroup, match="Response violates schema"):
        create_test(operation=schema["/number"]["GET"], test_func=send, config=config)()


# The description --------------------------------------------------------------------------------


def test_every_operation_is_described(app: FastAPI) -> None:
    document = app.openapi()
    tags = {tag["name"] for tag in document["tags"]}
    poor = []
    for path, item in document["paths"].items():
        for method, operation in item.items():
            label = f"{method.upper()} {path}"
            if not (
                operation.get("summary") and operation.get("description") and set(operation["tags"]) <= tags
            ):
                poor.append(f"{label}: summary, description or tag")
            if takes_json(operation) and example_of(document, operation) is None:
                poor.append(f"{label}: example of the body")
            for parameter in operation.get("parameters", []):
                if not explains_itself(parameter):
                    poor.append(f"{label}: example of {parameter['name']}")
    assert poor == []


def takes_json(operation: dict[str, Any]) -> bool:
    return JSON in operation.get("requestBody", {}).get("content", {})


def explains_itself(parameter: dict[str, Any]) -> bool:
    """Whether a reader can tell a right value: by an example, a default, or a closed set."""
    schema = parameter["schema"]
    choices = [schema, *schema.get("anyOf", [])]
    return bool(
        "example" in parameter
        or "default" in schema
        or any(choice.keys() & {"examples", "enum", "$ref"} for choice in choices)
        or any(choice.get("format") == "date" for choice in choices)
    )


def test_examples_of_bodies_are_valid(app: FastAPI) -> None:
    document = app.openapi()
    for operation in (operation for item in document["paths"].values() for operation in item.values()):
        if takes_json(operation):
            schema = operation["requestBody"]["content"][JSON]["schema"]
            whole = {**schema, "components": document["components"]}
            jsonschema.validate(example_of(document, operation), whole)


def test_the_description_says_whom_a_route_lets_in(app: FastAPI) -> None:
    document = app.openapi()
    for label, policy in policies(app).items():
        method, path = label.split(" ")
        operation = document["paths"][path][method.lower()]
        ways = operation["security"]
        assert bool(ways) == policy.needs_sign_in, label
        assert any("token" in way for way in ways) == bool(policy.needs_sign_in and policy.scope), label
        assert all("csrf" in way for way in ways if "session" in way) == (method != "GET") or not ways, label
        assert policy.name in operation["description"]
