"""ODB keys of the analyzer: what it watches, and how it says what became of a run."""

from typing import Final

from rawdata.datamodel.key import OdbKey
from rawdata.tid import Tid

_VARIABLES: Final = (
    ("Image mean", "Mean of the raw pixels, last 50 events", "ADU"),
    ("Noise", "Noise of pixels without light, last 50 events", "ADU"),
    ("Pedestal drift ADU", "Level of empty pixels above the pedestal, last 50 events", "ADU"),
    ("Light outside ADU", "Light that belongs to no cluster, last 50 events", "ADU/pixel"),
    ("Saturated pixels", "Saturated pixels of a frame, last 50 events", ""),
    ("Sparks %", "Frames that are sparks, last 50 events", "%"),
    ("Bad frames %", "Frames that could not be analyzed, last 50 events", "%"),
    ("Clusters per frame", "Clusters of a frame, last 50 events", ""),
    ("Cluster rate Hz", "Clusters in the time of exposure, last 50 events", "Hz"),
    ("55Fe peak ADU", "Place of the 55Fe line, run so far", "ADU"),
    ("55Fe resolution %", "Sigma of the 55Fe line over its place, run so far", "%"),
    ("Light yield ADU", "Place of the 55Fe line over 5.9 keV, run so far", "ADU/keV"),
    ("PMT baseline", "Mean baseline of the last event's waveforms", "ADC counts"),
    ("PMT noise", "Noise of the PMT waveforms, last 50 events", "ADC counts"),
    ("PMT saturated %", "PMT waveforms that are saturated, last 50 events", "%"),
    ("PMT charge pC", "Charge of the PMT waveforms, last 50 events", "pC"),
    ("Trigger rate Hz", "Triggers of the last 50 events, in their time", "Hz"),
    ("Live time %", "The lowest of the trigger frontends, run so far", "%"),
    ("Gas pressure mbar", "Last reading, converted by Settings/Slow control", "mbar"),
    ("Atm pressure mbar", "Last reading, converted", "mbar"),
    ("Gas temperature C", "Last reading, converted", "degrees Celsius"),
    ("Room temperature C", "Last reading, converted", "degrees Celsius"),
    ("Humidity %", "Last reading, converted", "%"),
    ("Sensor temperature C", "Last TCAM of the first camera", "degrees Celsius"),
    ("GEM1 V", "Last measured voltage of GEM 1", "V"),
    ("GEM2 V", "Last measured voltage of GEM 2", "V"),
    ("GEM3 V", "Last measured voltage of GEM 3", "V"),
    ("Fraction seen", "Events that came to the analyzer over those sent", ""),
    ("Rate Hz", "Events analyzed in the last second", "Hz"),
)

_OF_CAMERAS: Final = (
    "Image mean",
    "Noise",
    "Pedestal drift ADU",
    "Light outside ADU",
    "Saturated pixels",
    "Clusters per frame",
)

ANALYZER_KEYS: Final = (
    OdbKey("/Equipment/Analyzer/Variables/Ready", Tid.BOOL, "Its kernels are compiled"),
    *(
        OdbKey(f"/Equipment/Analyzer/Variables/{name}", Tid.DOUBLE, f"{meaning}; each second", unit)
        for name, meaning, unit in _VARIABLES
    ),
    *(
        OdbKey(
            f"/Equipment/Analyzer/Variables/Camera {name}[6]",
            Tid.DOUBLE,
            f"{name} of each camera, last 50 events; 0 where there is none",
        )
        for name in _OF_CAMERAS
    ),
    OdbKey(
        "/Equipment/Analyzer/Limits/Camera <i>/<variable>",
        Tid.KEY,
        "Limits of one camera in place of those of all: as much of the keys below as differs",
    ),
    OdbKey("/Equipment/Analyzer/Limits/<variable>/Low", Tid.DOUBLE, "Smallest value that is well"),
    OdbKey("/Equipment/Analyzer/Limits/<variable>/High", Tid.DOUBLE, "Largest value that is well"),
    OdbKey(
        "/Equipment/Analyzer/Limits/<variable>/Enabled",
        Tid.BOOL,
        "Whether alarm `Analyzer <variable>` is raised beyond them; live",
    ),
    OdbKey(
        "/Equipment/Analyzer/Limits/<variable>/Violations",
        Tid.INT,
        "Checks in a row, one a second, that must fail before",
    ),
    OdbKey("/Equipment/Analyzer/Run/Run number", Tid.DWORD, "Which run these counts are of"),
    OdbKey("/Equipment/Analyzer/Run/Events seen", Tid.DWORD, "Events that it received"),
    OdbKey("/Equipment/Analyzer/Run/Events analyzed", Tid.DWORD, "Events in its result file"),
    OdbKey("/Equipment/Analyzer/Run/Events lost", Tid.DWORD, "Events that it did not see"),
    OdbKey("/Equipment/Analyzer/Run/Reco file", Tid.STRING, "Its result file"),
    OdbKey("/Equipment/Analyzer/Run/Report file", Tid.STRING, "The latest picture report"),
    OdbKey("/Equipment/Analyzer/Run/Report run", Tid.INT, "Which run that is of"),
)
