"""Whatever is sent, by whomever, is answered: never with a fault of the service's own."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from asking import JSON, PEOPLE, Asking, House, example_of, fresh_rows, open_house, policies
from fastapi.testclient import TestClient
from sqlalchemy import Engine

from service.config import Settings

HOSTILE_BODIES = {
    "nothing": (JSON, b""),
    "null": (JSON, b"null"),
    "a list": (JSON, b"[]"),
    "cut off": (JSON, b'{"'),
    "not UTF-8": (JSON, b'{"\xff\xfe": "\xed\xa0\x80"}'),
    "deep lists": (JSON, b"[" * 100_000),
    "deep objects": (JSON, b'{"values":' * 100_000 + b"1" + b"}" * 100_000),
    "deep inside": (JSON, b'{"values": {"nik": ' + b"[" * 5_000 + b"]" * 5_000 + b"}}"),
    "as a form": ("application/x-www-form-urlencoded", b"values=%00&name=%ff"),
    "multipart without a boundary": ("multipart/form-data", b"--x"),
    "broken multipart": ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data\r\n\r\n"),
    "as text": ("text/plain; charset=nonsense", b"{}"),
    "as nothing known": ("x/" + "y" * 3_000, b"{}"),
}
HOSTILE_TEXTS = ("\\u0000", "\\ud800", "\\udfff\\ud800", "a\\u0000b", "\\u202e" * 50, "\\uffff", "9" * 5_000)
HOSTILE_VALUES = ("1" + "0" * 400, "-1e999", "1e999", "NaN", "Infinity", "9223372036854775808", "true")
HOSTILE_PLACES = ("%00", "%ff", "%ed%a0%80", "9" * 400, "-1", "%2e%2e%2f", "a" * 8_000, "%F0%9F%92%A9")


@pytest.fixture
def house(engine: Engine, settings: Settings) -> Iterator[House]:
    with open_house(engine, settings) as house:
        yield house


def hostile_bodies(example: Any) -> Iterator[tuple[str, str, bytes]]:
    """A request's body in every wrong shape, and its example with each value made hostile."""
    for name, (media_type, body) in HOSTILE_BODIES.items():
        yield name, media_type, body
    for key in example if isinstance(example, dict) else ():
        for value in (*(f'"{text}"' for text in HOSTILE_TEXTS), *HOSTILE_VALUES):
            for wrapped in (value, f'{{"nik": [{value}]}}'):
                fields = {name: json.dumps(given) for name, given in example.items()} | {key: wrapped}
                body = "{" + ", ".join(f'"{name}": {given}' for name, given in fields.items()) + "}"
                yield f"{key} = {wrapped[:40]}", JSON, body.encode()


@pytest.fixture
def client(house: House) -> Iterator[TestClient]:
    with TestClient(house.app, raise_server_exceptions=False, follow_redirects=False) as client:
        yield client


@pytest.mark.slow
def test_no_hostile_request_is_ever_a_fault_of_ours(house: House, client: TestClient) -> None:
    document = house.app.openapi()
    faults = []
    sent = set()
    for kind in PEOPLE:
        asking = Asking(house, kind)
        rows = fresh_rows(house, kind)
        for label, policy in policies(house.app).items():
            if kind != "visitor" and not (asking.is_allowed(policy) and policy.needs_sign_in):
                continue
            method, path = label.split(" ")
            place = re.sub(r"\{(\w+)\}", lambda match, rows=rows: rows[match[1]][0], path)
            for hostile in HOSTILE_PLACES:
                for address in (
                    re.sub(r"\{\w+\}", hostile, path),
                    f"{place}?page={hostile}&q={hostile}&on={hostile}",
                ):
                    answer = client.request(method, address, headers=asking.headers(policy))
                    if answer.status_code >= 500:
                        faults.append((kind, method, address[:120], answer.status_code))
            if method == "GET" or label in sent:
                continue
            sent.add(label)
            example = example_of(document, document["paths"][path][method.lower()])
            for name, media_type, body in hostile_bodies(example):
                headers = asking.headers(policy) | {"content-type": media_type}
                answer = client.request(method, place, content=body, headers=headers)
                if answer.status_code >= 500:
                    faults.append((kind, label, name, answer.status_code))
    assert faults == []
