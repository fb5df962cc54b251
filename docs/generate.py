"""Write the generated pages of the reference: ``python docs/generate.py [--check]``.

``settings.md`` has a table for each tree of settings: every subclass of
`experiment.settings.Settings` in a module ``<room>.settings`` that has a place in the ODB, by its
``odb_path`` or the module's ``ODB_PATH``. ``datamodel.md`` is what `rawdata.datamodel` says of
itself, ``results.md`` what the analyzer's row types say of their columns, ``stream.md`` and
``questions.md`` what other programs may get from it, ``root.md`` what CYGNO's trees hold. With
``--check`` nothing is written; stale pages are named and the exit code is 1.
"""

import argparse
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from analyzer.dtypes import DATASETS, titles
from analyzer.figure_table import CAMERA_FIGURES
from analyzer.pages import flag_tables, questions_page, root_page, stream_page
from analyzer.quantities import QUANTITIES
from analyzer.summary import KEYS
from experiment.settings import Settings, describe
from rawdata.datamodel.page import render as datamodel_page
from stager.tablepage import render as catalog_page

REFERENCE = Path(__file__).parent / "reference"
ROOMS = ("frontend", "analyzer", "stager")

_HEAD = """# Settings

Made by `python docs/generate.py` from the settings models; change those, not this page.

Every value is in the ODB. A bad value refuses the run (or the program) with the key, the value seen
and what is allowed. *Takes effect* says when a change counts: `live`, at the `next run`, or at a
`restart` of the program.
"""


def trees_of(room: str) -> list[tuple[str, type[Settings]]]:
    """Return ODB path and model of each tree that a room declares, in the order of its file."""
    name = f"{room}.settings"
    if importlib.util.find_spec(name) is None:
        return []
    module = importlib.import_module(name)
    models = [
        model
        for _, model in inspect.getmembers(module, inspect.isclass)
        if issubclass(model, Settings) and model.__module__ == name
    ]
    models.sort(key=lambda model: inspect.getsourcelines(model)[1])
    default = getattr(module, "ODB_PATH", "")
    trees = [(str(model.odb_path or default), model) for model in models]
    return [(path, model) for path, model in trees if path]


def settings_page() -> str:
    """Return ``docs/reference/settings.md``."""
    return "\n".join([_HEAD, *(line for room in ROOMS for line in _room_lines(room))]) + "\n"


def _room_lines(room: str) -> Iterator[str]:
    for path, model in trees_of(room):
        summary = (inspect.getdoc(model) or "").splitlines()[0]
        yield f"## {path}\n"
        yield f"{summary} (`cygno-{room}`)\n"
        yield "| key | type | default | unit | allowed | takes effect | meaning |"
        yield "|---|---|---|---|---|---|---|"
        for row in describe(model, path):
            cells = (
                f"`{row['path'].removeprefix(path + '/')}`",
                row["type"],
                _default(row["default"]),
                row["unit"],
                row["allowed"],
                row["effect"],
                row["description"],
            )
            yield "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"
        yield ""


def _default(value: Any) -> str:
    if isinstance(value, bool):
        return "y" if value else "n"
    if isinstance(value, list):
        return ", ".join(_runs(value))
    return f"`{value}`" if isinstance(value, str) and value else str(value)


def _runs(values: list[Any]) -> Iterator[str]:
    """Write equal neighbours once: 0.0 x24."""
    begin = 0
    while begin < len(values):
        end = begin
        while end < len(values) and values[end] == values[begin]:
            end += 1
        times = f" x{end - begin}" if end - begin > 1 else ""
        yield f"{_default(values[begin])}{times}"
        begin = end


_RESULTS_HEAD = """# Results of the analyzer

Made by `python docs/generate.py` from `analyzer/dtypes.py`; change that, not this page.

`run%05d.reco.h5` has one dataset for each table below, and as attributes the run number, settings,
software version, pedestals used, source and counts. `analyzer.results.open_results(path)` reads it;
so does any HDF5 program. Beside it stands the run's summary (last table), `run%05d.summary.json`. A
file that is still being written ends in `.partial`.
"""


_BESIDE_CYGNO = """### Beside CYGNO's

Names are CYGNO's (CYGNUS-RD/reconstruction, branch winter23: `clusterTools.py`, `treeVars.py`).
How clusters are found is told in [how clusters are found](../explanation/clusters.md).

**Positions.** x is the column and y the row of the raw frame. CYGNO turns frames first: its x is
our row, its y our column from the other side, `x = row`, `y = columns - 1 - column`. So its
`sc_xmin`, `sc_xmax` are our `sc_ymin`, `sc_ymax`; its `sc_ymin` is `columns - 1 - sc_xmax`, its
`sc_ymax` `columns - 1 - sc_xmin`; an angle of ours is `theta - pi/2` there, modulo pi. The [ROOT
file](root.md) has CYGNO's.
"""

_DEFINITIONS = (
    (
        "`sc_size`",
        "pixels without saturated ones; tracks with a rim of `Margin` macro-pixels",
        "all 16 pixels of each macro-pixel",
    ),
    (
        "`sc_nhits`",
        "without the rim, defects and saturated pixels",
        "all that the zero suppression left",
    ),
    (
        "`sc_integral`",
        "light of a round spot within `Spot reach` of its sigmas, and what a Gaussian has beyond; "
        "of all others, and of spots that are bright, `sc_sum`",
        "the sum over its pixels, of which the threshold cuts the wings",
    ),
    (
        "`sc_sum`",
        "raw light; a defect has its neighbours' mean; rows without their common shift",
        "`sc_integral`; response of lens and sensor corrected before; hot pixels as they are",
    ),
    (
        "`sc_corrintegral`",
        "corrected for the response (`Vignetting map`)",
        "another thing: corrected for the saturation of the gain",
    ),
    (
        "`sc_energy`",
        "`sc_corrintegral` / `ADU per keV`",
        "by slices, from a calibration of its own; -1 without",
    ),
    (
        "`sc_pathlength`",
        "in steps of 16 pixels along the axis",
        "length of the skeleton; -1 without calibration",
    ),
    (
        "`sc_rms`",
        "without the rim",
        "the same of all pixels",
    ),
    (
        "`sc_xmean`, `sc_ymean`",
        "weights are the light, without the rim, negative pixels too",
        "negative pixels as 0",
    ),
    (
        "`sc_theta`",
        "rad, of the light's main axis",
        "degrees, of the first eigenvector of the macro-pixels' places, be it the main one or not",
    ),
    (
        "`sc_length`, `sc_width`",
        "extent of macro-pixels over threshold, both ends included",
        "of all pixels, end to end",
    ),
    (
        "`sc_longrms`, `sc_latrms`",
        "of the light, from its moments",
        "of a rotated image, in which a pixel may replace another",
    ),
    (
        "`sc_lfullrms`, `sc_tfullrms`",
        "profile in bins of 2 pixels",
        "bins as wide as the light's statistics ask for",
    ),
    (
        "`sc_lp0*`, `sc_tp0fwhm`",
        "the highest peak; place from the centre",
        "of the peaks found the last along the axis; place from the beginning; -999 without",
    ),
    (
        "`sc_*gaussmean`",
        "from the centre",
        "from the beginning of the profile",
    ),
    (
        "`sc_*gaussamp`",
        "ADU per pixel",
        "ADU per bin",
    ),
    (
        "`sc_*chi2`",
        "over degrees of freedom, with the noise of the pixels",
        "not divided, errors from the histogram",
    ),
    (
        "`sc_*status`",
        "0 is good",
        "ROOT's status of the covariance matrix: 3 is good",
    ),
    (
        "`sc_pearson`",
        "correlation of column and row",
        "always 999",
    ),
    (
        "`sc_nmacro`, `flags`",
        "",
        "not there",
    ),
    (
        "`redpix_*`",
        "clusters above `Keep from` but for sparks; 1/32 ADU",
        "above 850 ADU and shorter than 1e5; 0.1 ADU",
    ),
)
"""Column, what it is here, what it is in CYGNO's reconstruction."""


_FIGURES = """One row: those figures of the summary (below) that are numbers, as float64, nan where
nothing is known.
"""

_SUMMARY_HEAD = """## Summary of a run

`run%05d.summary.json`; `analyzer.summary.read_summary(path)` reads it. Keys are stable: new ones
may come, none changes its meaning without a new number of the schema. A value that is not known is
null. Spreads (`std`) are standard deviations over frames, events or readings.
"""


def results_page() -> str:
    """Return ``docs/reference/results.md``."""
    lines = [_RESULTS_HEAD]
    for name, dtype in DATASETS.items():
        if name == "figures":
            lines += ["## figures\n", _FIGURES]
            continue
        lines += [f"## {name}\n", "| column | type | meaning |", "|---|---|---|"]
        fields = dtype.fields or {}
        lines += [f"| `{c}` | {fields[c][0]} | {text} |" for c, text in titles(dtype).items()]
        lines.append("")
        if name == "clusters":
            lines += [_BESIDE_CYGNO, "| column | here | CYGNO |", "|---|---|---|"]
            lines += [f"| {' | '.join(row)} |" for row in _DEFINITIONS]
            lines.append("")
    lines.append(flag_tables())
    lines += [_SUMMARY_HEAD, "| key | type | meaning |", "|---|---|---|"]
    lines += [f"| `{key.key}` | {key.kind.__name__} | {key.meaning} |" for key in KEYS]
    lines += [
        f"| `cam<i>_{key}` | {kind.__name__} | of camera i alone, where there are several: {text} |"
        for key, (kind, text) in CAMERA_FIGURES.items()
    ]
    return "\n".join(lines) + "\n"


_LIMITS_HEAD = """# Limits of watched quantities

Made by `python docs/generate.py` from `analyzer/quantities.py`; change that, not this page.

Each quantity is a variable of `/Equipment/Analyzer/Variables` (MIDAS history plots it), has limits
in `/Equipment/Analyzer/Limits/<quantity>` (`Low`, `High`, `Enabled`, `Violations`; edits count at
once), and is a figure of the run's summary. Beyond them it raises the alarm `Analyzer <quantity>`.
Of several cameras, each is watched by itself where the table says so: alarm `Analyzer <quantity>
c<i>`, variables `Camera <quantity>[6]`, and limits of its own in `Limits/Camera <i>/<quantity>`
where there are any.
"""


def limits_page() -> str:
    """Return ``docs/reference/limits.md``."""
    lines = [
        _LIMITS_HEAD,
        "| quantity | meaning | unit | low | high | watched | by camera | figure | look at |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for one in QUANTITIES:
        cells = (
            f"`{one.key}`", one.meaning, one.unit, f"{one.low:g}", f"{one.high:g}",
            "y" if one.is_enabled else "n", "y" if one.of_cameras else "n", f"`{one.figure}`",
            one.look,
        )  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


PAGES = {
    "limits.md": limits_page,
    "stream.md": stream_page,
    "questions.md": questions_page,
    "root.md": root_page,
    "settings.md": settings_page,
    "catalog.md": catalog_page,
    "datamodel.md": datamodel_page,
    "results.md": results_page,
}


def main() -> int:
    """Write or check all pages; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="only tell which pages are stale")
    is_check = parser.parse_args().check
    stale = []
    for name, make in PAGES.items():
        path, content = REFERENCE / name, make()
        if path.exists() and path.read_text() == content:
            continue
        stale.append(name)
        if not is_check:
            path.write_text(content)
    for name in stale:
        sys.stdout.write(f"{name} {'is stale' if is_check else 'written'}\n")
    return 1 if stale and is_check else 0


if __name__ == "__main__":
    sys.exit(main())
