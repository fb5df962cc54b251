"""What is watched of a run: each quantity with its place in the ODB, its figure and its limits.

The key is that of /Equipment/Analyzer/Variables, where MIDAS history finds it, and of
/Equipment/Analyzer/Limits. Limits that depend on detector, source or site are off by default.
"""

from dataclasses import dataclass
from typing import Final

VARIABLES_PATH: Final = "/Equipment/Analyzer/Variables"
LIMITS_PATH: Final = "/Equipment/Analyzer/Limits"


@dataclass(frozen=True)
class Quantity:
    """One quantity.

    :param key: its ODB key, at most 22 characters: "Analyzer " and it name an alarm.
    :param figure: its key in the summary of a run.
    :param unit: its unit, for people.
    :param look: what to look at where it is out of its limits; at most 36 characters.
    :param is_enabled: whether the limits are watched unless someone says otherwise.
    :param of_cameras: each camera has its own; where there are several, each is watched.
    """

    key: str
    figure: str
    unit: str
    meaning: str
    low: float
    high: float
    look: str
    is_enabled: bool = False
    of_cameras: bool = False

    @property
    def name(self) -> str:
        """Its key without the unit."""
        for unit in (self.unit.split("/")[0], "C"):
            if unit and self.key.endswith(f" {unit}"):
                return self.key.removesuffix(f" {unit}")
        return self.key


QUANTITIES: Final = (
    Quantity(
        "Image mean", "image_mean_adu", "ADU", "mean of the raw pixels",
        80.0, 130.0, "light leak? exposure, sensor cooling", False, True,
    ),
    Quantity(
        "Noise", "noise_adu", "ADU", "noise of pixels without light",
        0.0, 6.0, "sensor cooling, light leak, pedestal", True, True,
    ),
    Quantity(
        "Pedestal drift ADU", "pedestal_drift_adu", "ADU", "level of empty pixels above pedestal",
        -1.0, 1.0, "new pedestal run? sensor cooling", True, True,
    ),
    Quantity(
        "Light outside ADU", "light_outside_adu_per_pixel", "ADU/px", "light in no cluster",
        -2.0, 2.0, "light leak? glow; pedestal", False, True,
    ),
    Quantity(
        "Saturated pixels", "saturated_pixels_per_frame", "", "saturated pixels of a frame",
        0.0, 5000.0, "sparks? light leak", False, True,
    ),
    Quantity(
        "Sparks %", "spark_percent", "%", "frames that are sparks",
        0.0, 10.0, "GEM voltages and currents; gas", True,
    ),
    Quantity(
        "Bad frames %", "bad_percent", "%", "events that could not be analyzed",
        0.0, 5.0, "message log; camera, frontend", True,
    ),
    Quantity(
        "Clusters per frame", "clusters_per_frame", "", "clusters of a frame",
        0.0, 200.0, "GEM voltages, source, pedestal", False, True,
    ),
    Quantity(
        "Cluster rate Hz", "cluster_rate_hz", "Hz", "clusters in the time of exposure",
        0.0, 500.0, "GEM voltages, source, pedestal",
    ),
    Quantity(
        "55Fe peak ADU", "fe55_peak_adu", "ADU", "place of the 55Fe line, run so far",
        8000.0, 16000.0, "GEM voltages, gas, source position",
    ),
    Quantity(
        "55Fe resolution %", "fe55_resolution_percent", "%", "width of the 55Fe line, run so far",
        0.0, 30.0, "gas purity, GEM voltages, focus",
    ),
    Quantity(
        "Light yield ADU", "light_yield_adu_per_kev", "ADU/keV", "55Fe line over 5.9 keV",
        1350.0, 2700.0, "GEM voltages, gas, source",
    ),
    Quantity(
        "PMT noise", "pmt_noise_counts", "ADC counts", "noise of the PMT waveforms",
        0.0, 10.0, "DRS4 tables set? cables, PMT HV",
    ),
    Quantity(
        "PMT saturated %", "pmt_saturated_percent", "%", "PMT waveforms that are saturated",
        0.0, 50.0, "PMT HV, DC offsets, light leak",
    ),
    Quantity(
        "PMT charge pC", "pmt_charge_pc", "pC", "charge of the PMT waveforms",
        -1000.0, 10000.0, "PMT HV, GEM voltages",
    ),
    Quantity(
        "Trigger rate Hz", "trigger_rate_hz", "Hz", "triggers of the last events",
        0.0, 100.0, "thresholds, PMT HV, light leak",
    ),
    Quantity(
        "Live time %", "live_percent", "%", "live time over live and dead time",
        20.0, 100.0, "frontend: exposure, rate, lost frames",
    ),
    Quantity(
        "Gas pressure mbar", "gas_pressure_mbar", "mbar", "pressure of the gas",
        850.0, 1100.0, "gas system: flow, exhaust",
    ),
    Quantity(
        "Atm pressure mbar", "atmospheric_pressure_mbar", "mbar", "pressure of the atmosphere",
        850.0, 1100.0, "sensor, cable",
    ),
    Quantity(
        "Gas temperature C", "gas_temperature_c", "°C", "temperature of the gas",
        10.0, 35.0, "air conditioning, sensor",
    ),
    Quantity(
        "Room temperature C", "room_temperature_c", "°C", "temperature of the room",
        10.0, 35.0, "air conditioning, sensor",
    ),
    Quantity(
        "Humidity %", "humidity_percent", "%", "relative humidity",
        0.0, 70.0, "gas system: leak? dryer",
    ),
    Quantity(
        "Sensor temperature C", "sensor_temperature_c", "°C", "temperature of the camera's sensor",
        -60.0, 0.0, "camera cooling: water, fan",
    ),
    Quantity(
        "GEM1 V", "hv_gem1_v", "V", "measured voltage of GEM 1",
        380.0, 450.0, "HV crate: trip? set points",
    ),
    Quantity(
        "GEM2 V", "hv_gem2_v", "V", "measured voltage of GEM 2",
        380.0, 450.0, "HV crate: trip? set points",
    ),
    Quantity(
        "GEM3 V", "hv_gem3_v", "V", "measured voltage of GEM 3",
        380.0, 450.0, "HV crate: trip? set points",
    ),
)  # fmt: skip
"""What is watched each second; `look` says where a person should begin."""

MAX_CAMERAS: Final = 6
"""Cameras that have their own numbers in the ODB (NCAM_MAX of CYGNO's frontend)."""

CAMERA_QUANTITIES: Final = tuple(quantity for quantity in QUANTITIES if quantity.of_cameras)


def camera_folder(camera: int) -> str:
    """Return the folder below `LIMITS_PATH` with limits of one camera alone.

    >>> camera_folder(1)
    'Camera 1'
    """
    return f"Camera {camera}"


def camera_variable(quantity: Quantity) -> str:
    """Return the key of the array of `VARIABLES_PATH` with the cameras' own values.

    >>> camera_variable(CAMERA_QUANTITIES[1])
    'Camera Noise'
    """
    return f"Camera {quantity.key}"
