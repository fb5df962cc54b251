"""Devices that the contract tests run on: the simulated ones always, real ones where named.

``CYGNO_TEST_CAMERAS``, ``CYGNO_TEST_DIGITIZERS``, ``CYGNO_TEST_HIGH_VOLTAGE`` and
``CYGNO_TEST_SENSORS`` name real devices as the ODB does (``driver:address``), with blanks between.
"""

import os

import pytest

_SIMULATED = {
    "cameras": ["sim:64x96"],
    "digitizers": ["sim:V1742", "sim:V1720E"],
    "high_voltage": ["sim"],
    "sensors": ["sim"],
}


def devices(kind: str) -> list[object]:
    """Return the devices of a kind as parameters."""
    real = os.environ.get(f"CYGNO_TEST_{kind.upper()}", "").split()
    return [*_SIMULATED[kind], *(pytest.param(name, marks=pytest.mark.hw) for name in real)]
