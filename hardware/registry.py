"""Find drivers by name, through entry points, so that a new device needs no change here.

Groups: ``cygno_daq.cameras``, ``cygno_daq.digitizers``, ``cygno_daq.high_voltage``,
``cygno_daq.sensors``. The simulated devices are there under the name ``sim``.
"""

from importlib.metadata import entry_points
from typing import Any

from hardware.errors import DeviceError

KINDS = ("cameras", "digitizers", "high_voltage", "sensors")


def driver_names(kind: str) -> list[str]:
    """List the installed drivers of a kind, one of `KINDS`."""
    return sorted(point.name for point in entry_points(group=f"cygno_daq.{kind}"))


def open_device(kind: str, name: str, address: str = "", **options: Any) -> Any:
    """Construct the driver `name` of a kind.

    :param name: as in the ODB, e.g. ``sim``; the part after a colon is put before the address'
        place if no address is given: ``sim:fusion`` is driver ``sim`` at address ``fusion``.
    :raises DeviceError: if there is no such driver; the message lists those installed.
    """
    driver, _, rest = name.partition(":")
    points = entry_points(group=f"cygno_daq.{kind}", name=driver)
    if not points:
        known = ", ".join(driver_names(kind)) or "none"
        raise DeviceError(
            f"no driver {driver!r} for {kind}; installed are: {known}. "
            "Install the package that brings it, or correct the name in the ODB."
        )
    return next(iter(points)).load()(address or rest, **options)
