"""OpenAPI 3.1: the description says of every endpoint that it is there, and an issuer answers as it says."""

import subprocess
import sys
from pathlib import Path

import pytest

from carnet.issuer.app import ENDPOINTS, served
from carnet.issuer.config import Config
from carnet.issuer.openapi import PROGRAMS, description, written
from carnet.issuer.openapi.administration import admin_operations

EXPLORER = Path(__file__).parents[1] / "fuzz" / "explore_api.py"
NO_INTERFACE = {"/assets/{name}", "/check_session", "/debugger", "/device/qr"}
"""For browsers alone, although no form and no sentence is on them."""


def test_every_endpoint_is_described_and_nothing_else():
    config = Config(client_registration=True)
    document = description(config, served(config))
    described = {(path, method.upper()) for path, methods in document["paths"].items() for method in methods}
    assert described == {(written(one.path), method) for one in served(config) for method in one.methods}


def test_what_programs_use_is_described_as_what_it_is_and_only_pages_as_pages():
    known = PROGRAMS.keys() | admin_operations().keys()
    undescribed = {
        f"{method} {endpoint.path}"
        for endpoint in ENDPOINTS
        for method in endpoint.methods
        if (endpoint.path, method) not in known
        and endpoint.answer.__code__.co_name != "refusing"  # a page: `refusals.page` wraps what answers
        and endpoint.path not in NO_INTERFACE
    }
    assert undescribed == set(), "describe it in carnet/issuer/openapi"
    assert {path for path, _ in PROGRAMS} <= {endpoint.path for endpoint in ENDPOINTS}


def test_operations_have_names_of_their_own_and_references_lead_somewhere():
    config = Config(client_registration=True)
    document = description(config, served(config))
    names = [one["operationId"] for methods in document["paths"].values() for one in methods.values()]
    assert len(names) == len(set(names))
    assert references(document) <= {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}


def references(part) -> set[str]:
    if isinstance(part, dict):
        own = {part["$ref"]} if isinstance(part.get("$ref"), str) else set()
        return own.union(*map(references, part.values()))
    return set().union(*map(references, part)) if isinstance(part, list | tuple) else set()


@pytest.mark.spec("RFC 9110", "15", "MUST")
def test_a_running_issuer_answers_as_it_says_whatever_it_is_sent():
    """A few hundred requests; `make explore` makes a hundred thousand."""
    command = (sys.executable, str(EXPLORER), "--examples", "1", "--phases", "fuzzing", "--seed", "1")
    done = subprocess.run(command, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
