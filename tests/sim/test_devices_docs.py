"""The reference page names every option and every fault."""

from pathlib import Path

import pytest
from pydantic import BaseModel

from sim.detector.tracks import Rates
from sim.devices.faults import Faults
from sim.devices.options import CameraOptions, DigitizerOptions

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "simulated-devices.md"


@pytest.mark.parametrize("model", [CameraOptions, DigitizerOptions, Faults, Rates])
def test_every_option_is_documented(model: type[BaseModel]) -> None:
    text = PAGE.read_text()
    missing = [name for name in model.model_fields if f"`{name}`" not in text]
    assert not missing, f"{PAGE.name} does not name {missing}"
