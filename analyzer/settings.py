"""Settings of the analyzer, in the ODB at /Equipment/Analyzer/Settings.

Names in small letters are CYGNO's own (``configFile_LNGS.txt`` of its reconstruction, winter 2023)
and mean what they mean there; the others belong to our way of finding clusters.
"""

from typing import Any, ClassVar, Final, Literal

from pydantic import ValidationInfo, field_validator

from experiment.settings import Settings, setting, subtree

SETTINGS_PATH: Final = "/Equipment/Analyzer/Settings"

Profile = Literal["LNGS", "LNF", "MANGO"]

PROFILES: Final[dict[str, dict[str, Any]]] = {
    "LNGS": {},
    "LNF": {
        "drs4_site": "LNF",
        "nsigma": 0.8,
        "min_neighbors_average": 1.3,
        "ymin": 0,
        "ymax": 0,
        "pixel_mm": 0.05,
    },
    "MANGO": {
        "drs4_site": "MAN",
        "ymin": 200,
        "ymax": 2204,
        "xmin": 200,
        "xmax": 2204,
        "pixel_mm": 0.049,
    },
}
"""What each site changes of the defaults, which are those of LNGS."""


class SlowInput(Settings):
    """A quantity that is a straight line of an input of slow control (bank INPT)."""

    input: str = setting("", "Input", "name of the input; empty: none", max_length=31)
    offset: float = setting(0.0, "Offset", "the quantity where the input is 0")
    slope: float = setting(1.0, "Slope", "the quantity's change with each mA or V of the input")


class SlowControlSettings(Settings):
    """How inputs become quantities; formulas of LNGS's history panels (run 42901)."""

    gas_temperature_c: SlowInput = subtree(
        SlowInput(input="P0IIn0", offset=-100.0, slope=12.5), "Gas temperature"
    )
    room_temperature_c: SlowInput = subtree(
        SlowInput(input="P1UIn1", offset=82.3, slope=-22.7), "Room temperature"
    )
    gas_pressure_mbar: SlowInput = subtree(
        SlowInput(input="P0IIn5", offset=-402.1816, slope=100.5454), "Gas pressure"
    )
    atmospheric_pressure_mbar: SlowInput = subtree(
        SlowInput(input="P0IIn3", offset=-403.0472, slope=100.7618), "Atmospheric pressure"
    )
    humidity_percent: SlowInput = subtree(
        SlowInput(input="P1UIn5", offset=-37.7, slope=37.5), "Humidity"
    )
    gas_density_g_per_l: SlowInput = subtree(
        SlowInput(input="P3IIn6", offset=-2.5, slope=0.625), "Gas density"
    )


class AnalyzerSettings(Settings):
    """How frames and waveforms are analyzed."""

    odb_path: ClassVar[str] = SETTINGS_PATH

    # images, in CYGNO's terms
    cimax: int = setting(
        5000, "cimax", "pixels of at least this are saturated and ignored", unit="ADU", gt=0
    )
    nsigma: float = setting(
        0.6, "nsigma", "pixels above nsigma times their noise count as hits of a cluster", gt=0
    )
    rebin: Literal[1, 2, 4, 8] = setting(4, "rebin", "side of a macro-pixel", unit="pixels")
    min_neighbors_average: float = setting(
        1.2,
        "min_neighbors_average",
        "least mean of the eight neighbours for a macro-pixel to start a cluster",
        unit="ADU",
        ge=0,
    )
    xmin: int = setting(0, "xmin", "first column of the acceptance", unit="pixels", ge=0)
    xmax: int = setting(0, "xmax", "end of the accepted columns; 0: all", unit="pixels", ge=0)
    ymin: int = setting(304, "ymin", "first row of the acceptance", unit="pixels", ge=0)
    ymax: int = setting(2054, "ymax", "end of the accepted rows; 0: all", unit="pixels", ge=0)

    frame_columns: int = setting(
        0,
        "Frame columns",
        "columns of frames that are neither square nor of a known camera; 0: find out",
        unit="pixels",
        ge=0,
    )

    pixel_mm: float = setting(
        0.152, "Pixel size", "side of a pixel in the detector; 0: not known", unit="mm", ge=0
    )

    # clusters
    finder: Literal["significance", "cygno"] = setting(
        "significance",
        "Finder",
        "how macro-pixels of clusters are found: by the significance of their light, or by the "
        "steps of CYGNO's reconstruction, which takes 20 times as long and finds less",
    )
    dbscan_eps: int = setting(
        12,
        "dbscan_eps",
        "with Finder cygno: points this near, rows and columns together, are neighbours",
        unit="macro-pixels",
        ge=1,
        le=40,
    )
    dbscan_minsamples: int = setting(
        20,
        "dbscan_minsamples",
        "with Finder cygno: least light of neighbours in a cluster's core",
        unit="ADU",
        ge=1,
    )
    grow_sigma: float = setting(
        3.0, "Grow sigma", "significance of 3x3 macro-pixels that are lit", ge=1
    )
    eps: int = setting(
        1,
        "eps",
        "macro-pixels that are this near are neighbours",
        unit="macro-pixels",
        ge=1,
        le=16,
    )
    min_samples: int = setting(
        15, "min_samples", "least sum of significances of neighbours in a cluster's core", ge=1
    )
    seed_weight: int = setting(
        26, "Seed weight", "least sum of significances of neighbours to start a cluster", ge=1
    )
    spike_adu: float = setting(
        10.0,
        "Spike limit",
        "a macro-pixel that differs by more from its neighbours is taken for their mean",
        unit="ADU",
        gt=0,
    )
    link_macro: int = setting(
        3,
        "Link distance",
        "clusters that are this near belong together",
        unit="macro-pixels",
        ge=1,
        le=16,
    )
    gap_macro: int = setting(
        12,
        "Track gap",
        "pieces of a straight track belong together across gaps up to this",
        unit="macro-pixels",
        ge=1,
        le=100,
    )
    min_macro: int = setting(
        4, "Minimum size", "least number of macro-pixels of a cluster", unit="macro-pixels", ge=1
    )
    track_macro: int = setting(
        60, "Track size", "least number of macro-pixels of a track", unit="macro-pixels", ge=1
    )
    track_elongation: float = setting(
        1.4,
        "Track elongation",
        "a track has at least this rms along its axis over that across",
        ge=1,
    )
    spot_edge: float = setting(
        0.02,
        "Spot edge",
        "a spot ends where its significance is below that part of its peak",
        ge=0,
        lt=1,
    )
    spot_window: float = setting(
        5.0,
        "Spot window",
        "sigma of the window in which middle and width of a round spot are measured",
        unit="pixels",
        ge=2,
        le=8,
    )
    spot_reach: float = setting(
        2.75,
        "Spot reach",
        "the light of a round spot is summed up to so many of its sigmas, and what a Gaussian has "
        "beyond is added; 0: the sum over its pixels, as for all other clusters",
        ge=0,
        le=3,
    )
    margin_macro: int = setting(
        2,
        "Margin",
        "rim around a track that is summed with it, for the wings of its light",
        unit="macro-pixels",
        ge=0,
        le=16,
    )
    vignetting_map: str = setting(
        "",
        "Vignetting map",
        "file with the response of lens and sensor: .npy, HDF5, or .root of CYGNO; empty: energies "
        "as they are",
    )
    adu_per_kev: float = setting(
        2085.0,
        "ADU per keV",
        "light yield for energies; the default is a 55Fe spot of 12300 ADU for 5.9 keV",
        unit="ADU/keV",
        gt=0,
    )

    # what clusters are called; energies and densities as in CYGNO's reco2sql.py
    spot_length: float = setting(
        100.0, "Spot length", "spots are no longer than this, and no tracks", unit="pixels", gt=0
    )
    fe55_window: float = setting(
        0.3, "55Fe window", "largest relative distance of a 55Fe-like spot from 5.9 keV", gt=0, lt=1
    )
    alpha_density: float = setting(
        25.0, "Alpha density", "least light of an alpha in each of its hits", unit="ADU", gt=0
    )
    alpha_length: float = setting(
        100.0, "Alpha length", "least length of an alpha", unit="pixels", gt=0
    )
    muon_density: float = setting(
        9.0, "Muon density", "largest light of a muon in each of its hits", unit="ADU", gt=0
    )
    muon_length: float = setting(
        500.0, "Muon length", "least length of a muon", unit="pixels", gt=0
    )
    spark_adu: float = setting(
        1e7, "Spark light", "a cluster with more light is a spark", unit="ADU", gt=0
    )
    fe55_low_adu: float = setting(
        4000.0, "55Fe fit from", "spots with less light are not fitted", unit="ADU", gt=0
    )
    fe55_high_adu: float = setting(
        18000.0, "55Fe fit to", "spots with more light are not fitted", unit="ADU", gt=0
    )
    keep_pixels: bool = setting(
        False, "Keep pixels", "write the pixels of clusters, dataset redpix"
    )
    keep_least_adu: float = setting(
        850.0, "Keep from", "least light of a cluster whose pixels are kept", unit="ADU", ge=0
    )

    max_clusters: int = setting(
        1000, "Maximum clusters", "a frame with more is flagged and cut short", ge=1, le=100_000
    )
    max_occupancy: float = setting(
        0.2,
        "Maximum occupancy",
        "a frame with a larger part of its macro-pixels lit is flagged and not searched",
        gt=0,
        le=1,
    )
    clip_sigma: float = setting(
        4.0, "Clip sigma", "pixels beyond do not count for the noise and mean of a frame", ge=2
    )
    row_limit_adu: float = setting(
        3.0,
        "Row correction limit",
        "largest common shift of a row that is taken out of a frame; 0: none",
        unit="ADU",
        ge=0,
    )

    # pedestals
    pedestal_min_frames: int = setting(
        10, "Pedestal frames", "least number of frames of a pedestal", ge=2
    )
    hot_adu: float = setting(
        50.0, "Hot pixel", "a pixel that much above its row is a defect", unit="ADU", gt=0
    )
    noisy_factor: float = setting(
        4.0, "Noisy pixel", "a pixel with that many times the usual noise is a defect", gt=1
    )

    drift_limit_adu: float = setting(
        1.0,
        "Drift limit",
        "largest distance of empty pixels, of the frame or one of its 8x8 parts, from the pedestal "
        "before a new one is asked for; 0: any",
        unit="ADU",
        ge=0,
    )

    # waveforms
    baseline_samples_fast: int = setting(
        100, "Baseline fast", "samples of the baseline, V1742", unit="samples", ge=2
    )
    baseline_samples_slow: int = setting(
        400, "Baseline slow", "samples of the baseline, other digitizers", unit="samples", ge=2
    )
    pulse_sigma: float = setting(
        5.0, "Pulse height", "least height of a pulse, in noises of its baseline", gt=0
    )
    pulse_prominence: float = setting(
        0.25, "Pulse prominence", "least prominence, as part of the waveform's highest value", ge=0
    )
    pulse_width: float = setting(
        5.0, "Pulse width", "least width at half the prominence", unit="samples", ge=0
    )
    coincidence_ns: float = setting(
        100.0, "Coincidence window", "pulses of PMTs this near are in coincidence", unit="ns", gt=0
    )
    trigger_clock: Literal["auto", "run", "frame"] = setting(
        "auto",
        "Trigger clock",
        "time tags begin with the run, or with each frame; auto: with the run where frames have "
        "times (bank TSP), else with the frame",
    )
    tick_fast_ns: float = setting(8.5, "Tick fast", "unit of the time tags, V1742", unit="ns", gt=0)
    tick_slow_ns: float = setting(
        8.5, "Tick slow", "unit of the time tags, other digitizers", unit="ns", gt=0
    )
    readout_ms: float = setting(
        180.0,
        "Readout time",
        "time of the camera to read a frame out: after it, until the end of the exposure, all rows "
        "are exposed at once; 0: a camera with a global shutter",
        unit="ms",
        ge=0,
    )
    drs4_tables: str = setting(
        "",
        "DRS4 tables",
        "folder with table_cell_<site>.npy and table_nsample_<site>.npy; empty: those of LNGS come "
        "with the software, other sites are not corrected",
    )
    drs4_site: str = setting("LNGS", "DRS4 site", "site of the DRS4 tables: LNGS, LNF or MAN")

    # quality
    pmt_channels: tuple[int, ...] = setting(
        (1, 2, 3, 4),
        "PMT channels",
        "channels of each board that PMTs are at; noise, rates and charges are of these",
    )
    gem_channels: tuple[int, ...] = setting(
        (5, 6, 7),
        "GEM channels",
        "channels of the V1742 that GEMs are at; ROOT files have a tree of their waveforms",
    )
    slow_control: SlowControlSettings = subtree(SlowControlSettings(), "Slow control")
    report_from: int = setting(
        20,
        "Report from",
        "least number of events of a run of which a picture report is made; 0: none",
        unit="events",
        ge=0,
    )

    # online
    complete_from_file: bool = setting(
        True,
        "Complete from file",
        "analyze a run again from its file where events were missed online",
    )
    workers: int = setting(
        0, "Workers", "threads that analyze frames; 0: one per core", effect="restart", ge=0, le=256
    )
    stream_port: int = setting(
        0,
        "Stream port",
        "port of the stream of results on 127.0.0.1; 0: any free one; -1: no stream",
        effect="restart",
        ge=-1,
        le=65535,
    )

    @field_validator("xmax", "ymax")
    @classmethod
    def _is_above_its_minimum(cls, value: int, info: ValidationInfo) -> int:
        axis = (info.field_name or "x")[0]
        low = info.data.get(f"{axis}min", 0)
        if value and value <= low:
            raise ValueError(f"0 or more than {axis}min, which is {low}")
        return value

    @field_validator("fe55_high_adu")
    @classmethod
    def _is_above_its_begin(cls, value: float, info: ValidationInfo) -> float:
        low = info.data.get("fe55_low_adu", 0.0)
        if value <= 1.2 * low:
            raise ValueError(f"more than 1.2 times '55Fe fit from', which is {low:g}")
        return value

    def acceptance(self, rows: int, columns: int) -> tuple[int, int, int, int]:
        """Return (xmin, xmax, ymin, ymax) for frames of this shape, half open.

        Limits beyond the frame belong to another camera, and then the whole axis is accepted.

        >>> AnalyzerSettings().acceptance(2304, 2304)
        (0, 2304, 304, 2054)
        >>> AnalyzerSettings().acceptance(512, 512)
        (0, 512, 0, 512)
        """
        x = (self.xmin, self.xmax or columns) if self.xmax <= columns else (0, columns)
        y = (self.ymin, self.ymax or rows) if self.ymax <= rows else (0, rows)
        return x + y


def profile(name: Profile) -> AnalyzerSettings:
    """Return the settings of a site.

    >>> profile("LNF").nsigma
    0.8
    """
    return AnalyzerSettings(**PROFILES[name])
