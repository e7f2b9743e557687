"""Health, metrics and the API's documentation."""

from fastapi.testclient import TestClient


def test_health_and_readiness_answer(client: TestClient) -> None:
    assert client.get("/healthz").text == "ok"
    assert client.get("/readyz").text == "ready"


def test_documentation_asks_nothing_of_other_hosts(client: TestClient) -> None:
    page = client.get("/api/docs").text
    assert "https://" not in page


def test_unknown_api_address_is_a_problem_in_the_readers_language(client: TestClient) -> None:
    answer = client.get("/api/v1/nothing", headers={"accept-language": "en"})
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "not_found"
    assert "not found" in answer.json()["title"]


def test_every_answer_carries_the_security_headers(client: TestClient) -> None:
    headers = client.get("/healthz").headers
    assert "default-src 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
