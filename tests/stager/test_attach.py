"""The stager's tie to an experiment, which may not be there, or not for long."""

from pathlib import Path
from typing import Any

import pytest

from experiment.errors import ExperimentError
from stager.attach import Attached, connect_if_up, current_run, find_folder
from stager.errors import ConfigurationError


class Experiment:
    """As much of a client as is asked; it may have gone."""

    def __init__(self, info: dict[str, Any]) -> None:
        self.info = info
        self.is_gone = False
        self.disconnected = 0

    def odb_get(self, path: str) -> Any:
        """Return /Runinfo."""
        if self.is_gone:
            raise ExperimentError("the server is gone")
        return self.info

    def communicate(self, time_ms: int) -> None:
        """Serve."""
        self.odb_get("/")

    def disconnect(self) -> None:
        """Count."""
        self.disconnected += 1


@pytest.mark.parametrize(
    ("state", "transition", "run"),
    [(1, 0, None), (1, 1, 42), (2, 0, 42), (3, 0, 42), (3, 2, 42)],
    ids=["stopped", "starting", "paused", "running", "stopping"],
)
def test_the_current_run(state: int, transition: int, run: int | None) -> None:
    info = {"State": state, "Run number": 42, "Transition in progress": transition}
    client: Any = Experiment(info)
    assert current_run(client) == run
    assert Attached(client).current_run() == run


def test_no_experiment_has_no_current_run() -> None:
    attached = Attached(None)
    attached.pulse()
    assert attached.current_run() is None
    attached.close()


@pytest.mark.parametrize("call", ["pulse", "current_run"])
def test_one_goes_on_alone_when_the_experiment_goes(call: str) -> None:
    experiment: Any = Experiment({"State": 3, "Run number": 42})
    attached = Attached(experiment)
    experiment.is_gone = True
    assert getattr(attached, call)() is None
    assert attached.client is None and experiment.disconnected == 1
    attached.pulse()
    attached.close()
    assert experiment.disconnected == 1


def test_which_folder_is_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MIDASSYS", raising=False)
    monkeypatch.setattr("stager.attach.DEFAULT_FOLDER", tmp_path / "default")
    (tmp_path / "here").mkdir()
    assert find_folder(str(tmp_path / "here"), {}) == tmp_path / "here"
    assert find_folder(None, {"CYGNO_EXPERIMENT": str(tmp_path / "here")}) == tmp_path / "here"
    assert find_folder("LNGS", {}) is None  # the name of a MIDAS experiment
    assert find_folder(None, {}) is None
    (tmp_path / "default").mkdir()
    assert find_folder(None, {}) == tmp_path / "default"
    with pytest.raises(ConfigurationError, match=r"no experiment folder .*/gone"):
        find_folder(str(tmp_path / "gone"), {})


def test_a_folder_whose_experiment_is_down_is_not_waited_for(tmp_path: Path) -> None:
    assert connect_if_up("test", str(tmp_path), tmp_path) is None
    # A server that was killed leaves its address behind.
    (tmp_path / "experiment.json").write_text(
        '{"address": "ipc:///nowhere", "pid": 4194303, "started": 1}'
    )
    assert connect_if_up("test", str(tmp_path), tmp_path) is None
