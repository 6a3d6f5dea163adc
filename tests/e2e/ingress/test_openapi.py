"""The OpenAPI document is true: schemathesis sends what it allows and forbids, and holds every answer against it."""

import json
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import load_all_checks
from schemathesis.core.failures import FailureGroup
from vantixs.testing.stack import RunningStack
from vantixs_ingress.http.openapi import DOCUMENT, build

OPERATIONS = [(path, method) for path, item in build()["paths"].items() for method in item]
# What holds for every answer. The others suppose that what fits the schema is accepted, which is for the rules of ingress to say.
CHECKS = {
    "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_headers_conformance",
    "response_schema_conformance", "unsupported_method", "allow_header_conformance",
}  # fmt: skip


def test_document_is_served_as_it_is_in_the_repository(stack: RunningStack) -> None:
    answer = httpx.get(f"{stack.endpoints['http']}/openapi.json")
    assert answer.headers["content-type"] == "application/json"
    assert answer.content == DOCUMENT


@pytest.mark.parametrize(("path", "method"), OPERATIONS, ids=[f"{m} {p}" for p, m in OPERATIONS])
def test_every_answer_is_in_the_document(stack: RunningStack, path: str, method: str) -> None:
    base = str(stack.endpoints["http"])
    token = stack.url.rpartition("/")[2]
    schema = schemathesis.openapi.from_dict(json.loads(DOCUMENT))
    operation = schema[path][method.upper()]
    load_all_checks()
    checks = [c for c in schemathesis.checks.CHECKS.get_all() if c.__name__ in CHECKS]
    assert len(checks) == len(CHECKS)

    @settings(
        max_examples=40,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(), known=st.sampled_from(["nobody", "webhook", "sender"]))
    def run(case: Any, known: str) -> None:
        if "webhook_id" in case.path_parameters and known != "nobody":
            case.path_parameters["webhook_id"] = "demo"
            if "token" in case.path_parameters and known == "sender":
                case.path_parameters["token"] = token
            elif known == "sender":
                case.headers["Authorization"] = f"Bearer {token}"
        try:
            response = case.call_and_validate(base_url=base, checks=checks)
        except FailureGroup as failed:
            raise AssertionError("\n".join(str(e) for e in failed.exceptions)) from None
        assert response.status_code < 500

    run()
