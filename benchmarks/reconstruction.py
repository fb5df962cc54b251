"""Measure what the analyzer finds: ``python -m benchmarks.reconstruction [--json]``.

Simulated frames of 2304x2304 pixels (fixed pattern, glow at the edges, hot pixels), analyzed with
profile LNGS and the pedestal of a run of 100 frames. Their noise is 2.4 ADU with 12 % spread, as
CYGNO's mark was taken with; keys that end in ``_noisy`` are of frames with 3.0 ADU. What is placed
is known: spots of sigma 4 pixels, muons of 1200 pixels with 40 ADU each, alphas of 260 pixels and
5e5 ADU, in frames of their own kind. Truth is the light that the pixels got, a Poisson number of
photons.

`efficiency` is found / placed, `abs_bias` |mean(integral / truth) - 1| and `rms` its spread,
`position_px` the median distance; `fakes_per_frame` counts clusters in frames without light and
those that belong to nothing in the others. A split is a second cluster of one object, a merge an
object inside the box of a neighbour's cluster. Kinds beyond CYGNO's: spots of 1500 ADU with row
noise of 1 ADU and with a pedestal that drifted by 1 ADU; two muons that cross, two of which one
ends at the other's side, two that lie beside each other, and one across the edge of the
acceptance. Recorded run 1102 holds real clusters of CYGNO on simulated noise, some of them over
each other: its keys begin with ``recorded``.
"""

import argparse
import json
import math
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.progress import track
from rich.table import Table

from analyzer.frames import as_frame
from analyzer.images import ImageAnalysis
from analyzer.levels import prepare_levels
from analyzer.pedestal_builder import PedestalBuilder
from analyzer.settings import AnalyzerSettings, profile
from benchmarks.scenes import Camera, Placed, Scene
from benchmarks.tally import Tally
from rawdata.layouts.camera import decode_frame
from rawdata.runfile import RunFile

PEDESTAL_FRAMES = 100
NOISE_ADU, MORE_NOISE_ADU = 2.4, 3.0
SPOTS_ADU = (12300, 3200, 1500, 1000, 700, 500, 300)
MUON_PIXELS, MUON_ADU = 1200.0, 40.0 * 1200
ALPHA_PIXELS, ALPHA_ADU = 260.0, 5e5
BESIDE_PIXELS = 32.0
"""Distance of two muons that lie beside each other: eight times the sigma of their light."""
RECORDED = Path(__file__).parents[2] / "shared" / "data"

CYGNO: dict[str, tuple[str, str, str]] = {
    "12300": ("31/31", "1.002, 0.006", "0.08"),
    "3200": ("31/31", "0.997, 0.024", "0.28"),
    "1500": ("30/30", "0.989, 0.035", "0.46"),
    "1000": ("40/40", "0.977, 0.06-0.10", "0.6-0.9"),
    "700": ("50/50", "0.960, 0.06-0.10", "0.6-0.9"),
    "500": ("50/50", "0.899, 0.06-0.10", "0.6-0.9"),
    "300": ("12/40", "0.935, 0.135", "1.4"),
    "muon": ("20/20", "1.014, 0.011", ""),
    "alpha": ("10/10", "0.999, 0.001", "0.09"),
}
"""CYGNO's offline reconstruction (winter 2023) on such frames, with the exact pedestal: found; mean
and rms of integral / truth; median distance [pixel]. It takes 0.9 to 4 s a frame."""


def measure(
    frames: int, recorded: Path, settings: AnalyzerSettings | None = None
) -> dict[str, Any]:
    """Return all figures.

    :param frames: of each kind of spot; muons and alphas have as many, empty frames twice that.
    :param recorded: folder with ``recorded/run01102.mid.lz4``; left out where it is missing.
    """
    settings = settings or profile("LNGS")
    tallies = _count(Camera(noise_adu=NOISE_ADU), frames, settings)
    noisy = _count(Camera(noise_adu=MORE_NOISE_ADU), frames, settings, {*CYGNO, "empty"})
    figures: dict[str, Any] = {"noise_adu": NOISE_ADU, "noise_adu_noisy": MORE_NOISE_ADU}
    for name, tally in tallies.items():
        figures |= tally.figures(name)
    for name, tally in noisy.items():
        figures |= tally.figures(f"{name}_noisy")
    figures["fakes_per_frame_noisy"] = sum(t.fakes for t in noisy.values()) / sum(
        t.frames for t in noisy.values()
    )
    figures["muons_in_one_piece"] = figures["one_piece_muon"]
    figures["crossing_as_two"] = _two(tallies["crossing"])
    figures["touching_as_two"] = _two(tallies["touching"])
    figures["beside_as_two"] = _two(tallies["beside"])
    normal = [tally for name, tally in tallies.items() if name in {*CYGNO, "empty"}]
    figures["fakes_per_frame"] = sum(t.fakes for t in normal) / sum(t.frames for t in normal)
    for name in ("row_noise", "drift"):
        figures[f"fakes_per_frame_{name}"] = tallies[name].fakes / tallies[name].frames
    figures["frames"] = sum(t.frames for some in (tallies, noisy) for t in some.values())
    figures["frame_ms"] = 1e3 * float(np.median([s for t in tallies.values() for s in t.seconds]))
    figures |= measure_recorded(recorded, settings)
    return figures


def _count(
    camera: Camera, frames: int, settings: AnalyzerSettings, only: set[str] | None = None
) -> dict[str, Tally]:
    """Analyze the frames of all kinds, or of some."""
    analysis = _prepare(camera, settings)
    analysis.analyze(as_frame(camera.dark().pixels))  # compiles
    kinds = _kinds(camera, frames).items()
    tallies = {}
    for name, scenes in track(
        [kind for kind in kinds if only is None or kind[0] in only],
        "frames",
        console=Console(stderr=True),
    ):
        tallies[name] = tally = Tally()
        for scene in scenes():
            _analyze(analysis, scene, tally)
    return tallies


def _two(tally: Tally) -> float:
    """Return the part of pairs that gave two clusters, neither more nor less."""
    return tally.whole / max(1, tally.placed)


def _prepare(camera: Camera, settings: AnalyzerSettings) -> ImageAnalysis:
    builder = PedestalBuilder(camera.sensor.model.shape, settings)
    for _ in track(range(PEDESTAL_FRAMES), "pedestal", console=Console(stderr=True)):
        builder.add(camera.dark().pixels)
    pedestal = builder.build(exposure_s=0.3, source="benchmark", run=1)
    return ImageAnalysis(prepare_levels(pedestal, settings), settings)


def _kinds(camera: Camera, frames: int) -> dict[str, Callable[[], Iterator[Scene]]]:
    """Return for each kind what makes its frames."""

    def spots(light_adu: float, **dark: Any) -> Callable[[], Iterator[Scene]]:
        return lambda: (camera.spots(light_adu, camera.dark(**dark)) for _ in range(frames))

    def lines(light_adu: float, length: float) -> Callable[[], Iterator[Scene]]:
        return lambda: (camera.track(light_adu, length, camera.dark()) for _ in range(frames))

    def pairs(add: Callable[[Scene], None]) -> Callable[[], Iterator[Scene]]:
        def make() -> Iterator[Scene]:
            for _ in range(frames):
                scene = camera.dark()
                add(scene)
                yield scene

        return make

    def cross(scene: Scene) -> None:
        angle = camera.random.uniform(-1.5, 1.5)
        for turn in (0.0, camera.random.uniform(0.6, 1.5)):
            scene.add(1180, 1150, 40 * 900, 900, _axis(angle + turn))

    def touch(scene: Scene) -> None:
        angle = camera.random.uniform(-1.5, 1.5)
        scene.add(1180, 1150, 40 * 900, 900, _axis(angle))
        place = camera.random.uniform(-250, 250)  # where the second one ends, at the first's side
        side = angle + camera.random.choice([-1, 1]) * camera.random.uniform(0.6, 1.5)
        row = 1180 + place * math.sin(angle) + 250 * math.sin(side)
        column = 1150 + place * math.cos(angle) + 250 * math.cos(side)
        scene.add(row, column, 40 * 500, 500, _axis(side))

    def edge(scene: Scene) -> None:
        scene.add(2054, camera.random.uniform(500, 1800), 40 * 400, 400, math.pi / 2)

    def beside(scene: Scene) -> None:
        angle = camera.random.uniform(-1.5, 1.5)
        along = camera.random.uniform(0, 400)
        row = 1180 + along * math.sin(angle) + BESIDE_PIXELS * math.cos(angle)
        column = 1150 + along * math.cos(angle) - BESIDE_PIXELS * math.sin(angle)
        for place in ((1180.0, 1150.0), (row, column)):
            scene.add(*place, 40 * 700, 700, _axis(angle))

    kinds = {str(light): spots(light) for light in SPOTS_ADU}
    return {
        **kinds,
        "muon": lines(MUON_ADU, MUON_PIXELS),
        "alpha": lines(ALPHA_ADU, ALPHA_PIXELS),
        "empty": lambda: (camera.dark() for _ in range(2 * frames)),
        "row_noise": spots(1500, row_noise_adu=1.0),
        "drift": spots(1500, drift_adu=1),
        "crossing": pairs(cross),
        "touching": pairs(touch),
        "edge": pairs(edge),
        "beside": pairs(beside),
    }


def _axis(angle: float) -> float:
    """Return the angle of an axis within (-pi/2, pi/2]."""
    return math.atan(math.tan(angle))


def _analyze(analysis: ImageAnalysis, scene: Scene, tally: Tally) -> None:
    frame = as_frame(scene.pixels)
    began = time.perf_counter()
    _, clusters = analysis.analyze(frame)[:2]
    tally.add(scene.placed, clusters, time.perf_counter() - began)


def measure_recorded(folder: Path, settings: AnalyzerSettings) -> dict[str, Any]:
    """Return what becomes of the real clusters of run 1102; nothing where it is not at hand."""
    runs = folder / "recorded"
    source = runs / "run01102.mid.lz4"
    if not source.exists():
        return {}
    builder: PedestalBuilder | None = None
    for pixels in _frames(runs / "run01101.mid.gz"):
        builder = builder or PedestalBuilder((pixels.shape[0], pixels.shape[1]), settings)
        builder.add(pixels)
    assert builder is not None
    pedestal = builder.build(exposure_s=0.3, source="run 1101", run=1101)
    analysis = ImageAnalysis(prepare_levels(pedestal, settings), settings)
    truth = json.loads((runs / "truth_01102.json").read_text())
    tally, sums = Tally(), []
    for pixels, objects in zip(_frames(source), truth, strict=True):
        placed = [_real(folder / "real", *values) for values in objects]
        _, clusters = analysis.analyze(as_frame(pixels))[:2]
        tally.add(placed, clusters, 0.0)
        if placed:
            light = sum(one.light_adu for one in placed)
            sums.append(float(clusters["sc_integral"].sum()) / light)
    figures: dict[str, Any] = tally.figures("recorded")
    figures["recorded_light_mean"] = float(np.mean(sums))
    figures["recorded_light_rms"] = float(np.std(sums))
    figures["fakes_recorded"] = tally.fakes
    return figures


def _real(folder: Path, number: int, row: float, column: float, light_adu: float) -> Placed:
    """Return a real cluster that was placed with the mean of its pixels at a place.

    Its length is that of its diagonal, so that all its pieces belong to it.
    """
    pixels = np.load(folder / f"cluster_{int(number)}.npy")
    middle = pixels[:, :2].mean(axis=0)
    centre = np.average(pixels[:, :2], axis=0, weights=pixels[:, 2])
    low, high = np.percentile(pixels[:, :2], (2, 98), axis=0)
    _, vectors = np.linalg.eigh(np.cov(pixels[:, :2].T))
    dy, dx = vectors[:, 1]
    length = float(np.hypot(*(high - low)))
    row_of_light, column_of_light = np.array((row, column)) + centre - middle
    angle = _axis(math.atan2(dy, dx))
    return Placed(light_adu, float(row_of_light), float(column_of_light), length, angle)


def _frames(path: Path) -> Iterator[npt.NDArray[np.uint16]]:
    with RunFile(path) as events:
        for event in events:
            if event.event_id == 1:
                yield decode_frame(event)


def print_table(figures: dict[str, Any]) -> None:
    """Print the table of kinds beside CYGNO's marks, then the rest."""
    table = Table(
        "kind", "found", "ratio, rms", "px", "in one piece", "CYGNO", title="found in truth"
    )
    for name, marks in [
        *CYGNO.items(),
        *((f"{name}_noisy", ("", "", "")) for name in CYGNO),
    ]:
        found = round(figures[f"efficiency_{name}"] * figures[f"placed_{name}"])
        table.add_row(
            name,
            f"{found}/{figures[f'placed_{name}']}",
            f"{1 + figures.get(f'bias_{name}', math.nan):.3f}, "
            f"{figures.get(f'rms_{name}', math.nan):.3f}",
            f"{figures.get(f'position_{name}_px', math.nan):.2f}",
            f"{figures[f'one_piece_{name}']:.2f}",
            "; ".join(mark for mark in marks if mark),
        )
    console = Console(width=110)
    console.print(table)
    shown = ("fakes", "muons", "crossing", "touching", "beside", "frame", "recorded")
    for name, value in figures.items():
        stressed = name.endswith(("row_noise", "drift", "edge", "crossing", "touching", "beside"))
        if name.startswith(shown) or stressed or "recorded" in name:
            console.print(f"{name:32} {value:.4g}")


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--frames", type=int, default=20, help="frames of each kind")
    parser.add_argument("--recorded", type=Path, default=RECORDED, help="folder with run 1102")
    given = parser.parse_args()
    if given.frames < 1:
        sys.stderr.write(f"benchmarks.reconstruction: --frames is {given.frames}; at least 1\n")
        return 2
    figures = measure(given.frames, given.recorded)
    if given.json:
        print(json.dumps(figures))
    else:
        print_table(figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
