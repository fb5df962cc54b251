"""A web server that the tests of a file share."""

from collections.abc import Iterator

import pytest

from tests.conftest import free_port, wait_until
from tests.sim.running import running_experiment
from tests.sim.web_server import Web, answers

WORD = 4


@pytest.fixture(scope="module")
def running_web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """An experiment with a web server."""
    port = free_port()
    with running_experiment(tmp_path_factory.mktemp("web")) as (programs, client):
        started = programs.start("web", "sim.web", "--port", str(port))
        url = f"http://127.0.0.1:{port}"
        wait_until(lambda: answers(url), 20, "the web server")
        yield Web(url, client, started.process)


@pytest.fixture
def web(running_web: Web) -> Iterator[Web]:
    """The same, with a few keys in /T; afterwards no alarm is on."""
    if running_web.client.odb_exists("/T"):
        running_web.client.odb_delete("/T")
    running_web.client.odb_set("/T/number", 5)
    running_web.client.odb_set("/T/words", [1, 2, 3], explicit_new_midas_type=WORD)
    running_web.client.odb_set("/T/Text", "hello")
    running_web.client.odb_set("/T/Below/flag", True)
    yield running_web
    for alarm in running_web.client.get_triggered_alarms():
        running_web.client.reset_alarm(alarm)
