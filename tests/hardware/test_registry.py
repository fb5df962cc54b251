"""Drivers are found by name, and a wrong name says what there is."""

import pytest

from hardware.errors import DeviceError
from hardware.registry import KINDS, driver_names, open_device


@pytest.mark.parametrize("kind", KINDS)
def test_the_simulated_devices_are_installed(kind: str) -> None:
    assert "sim" in driver_names(kind)


@pytest.mark.parametrize("kind", KINDS)
def test_an_unknown_driver_is_refused_with_those_installed(kind: str) -> None:
    with pytest.raises(DeviceError, match=f"no driver 'nobody' for {kind}; installed are: .*sim"):
        open_device(kind, "nobody:1")


def test_the_address_follows_the_name() -> None:
    assert open_device("cameras", "sim:64x48").info.rows == 64
    assert open_device("cameras", "sim", "32x48").info.rows == 32
