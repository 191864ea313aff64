"""What every test may ask for, and the rule that in continuous integration nothing is skipped."""

import os
from collections.abc import Iterator

import pytest

from carnet.testing.postgresql import PostgresqlServer, UnavailableError


@pytest.fixture
def anyio_backend() -> str:
    """Carnet runs on asyncio."""
    return "asyncio"


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[PostgresqlServer]:
    """One server for the whole run, started when a test first asks for it."""
    try:
        server = PostgresqlServer()
        server.start()
    except UnavailableError as error:
        pytest.skip(str(error))
    yield server
    server.stop()


@pytest.fixture
def postgresql_url(postgresql_server: PostgresqlServer) -> Iterator[str]:
    """An empty database of the test's own."""
    url = postgresql_server.create_database()
    yield url
    postgresql_server.drop_database(url)


def _forbid_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    """With CI set, a missing service, browser or program is a failure: a run that skipped it has proved nothing."""
    if os.environ.get("CI") and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"Skipped, which is a failure where CI is set: {report.longrepr}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    _forbid_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector):
    report = yield
    _forbid_skip(report)
    return report
