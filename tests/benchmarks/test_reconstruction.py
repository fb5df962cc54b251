"""The benchmark of the reconstruction counts what is found, split, merged and made up."""

import math
from pathlib import Path

import numpy as np

from analyzer.dtypes import CLUSTER
from benchmarks.reconstruction import measure
from benchmarks.scenes import Placed
from benchmarks.tally import Tally


def cluster(x: float, y: float, light: float, size: int = 5) -> tuple[float, ...]:
    return (x, y, light, int(x) - size, int(x) + size, int(y) - size, int(y) + size)


def clusters(*rows: tuple[float, ...]) -> np.ndarray:
    names = ("sc_xmean", "sc_ymean", "sc_integral", "sc_xmin", "sc_xmax", "sc_ymin", "sc_ymax")
    made = np.zeros(len(rows), CLUSTER)
    for name, values in zip(names, zip(*rows, strict=True), strict=False):
        made[name] = values
    return made


def test_each_cluster_belongs_to_the_nearest_object_or_is_a_fake() -> None:
    tally = Tally()
    spots = [Placed(1000, 100, 100), Placed(1000, 100, 500), Placed(500, 104, 506)]
    found = clusters(cluster(101, 100, 900), cluster(500, 100, 1600, 12), cluster(900, 900, 50))
    tally.add(spots, found, 0.001)
    figures = tally.figures("x")
    assert (figures["efficiency_x"], figures["merges_x"], tally.fakes) == (2 / 3, 1, 1)
    assert tally.distances == [1, 0]
    assert tally.ratios == [np.float32(0.9), np.float32(1.6)]


def test_pieces_of_a_track_are_splits_and_not_in_one_piece() -> None:
    tally = Tally()
    along = Placed(1000, 500, 500, length=400, angle=math.pi / 4)
    tally.add([along], clusters(cluster(400, 400, 500), cluster(600, 600, 500)), 0.001)
    tally.add([along], clusters(cluster(500, 500, 990)), 0.001)
    figures = tally.figures("x")
    assert (figures["efficiency_x"], figures["splits_x"], figures["one_piece_x"]) == (1, 1, 0.5)


def test_tracks_that_cross_in_their_middles_are_told_by_their_angles() -> None:
    tally = Tally()
    angles = (0.3, -0.9)
    placed = [Placed(1000, 500, 500, length=400, angle=angle) for angle in angles]
    found = clusters(cluster(502, 500.5, 980), cluster(500.5, 499, 1010))
    found["sc_length"], found["sc_theta"] = 410, angles[::-1]
    tally.add(placed, found, 0.001)
    assert (tally.found, tally.whole, tally.splits, tally.merges) == (2, 2, 0, 0)


def test_it_measures_all_kinds(tmp_path: Path) -> None:
    figures = measure(1, tmp_path)
    assert figures["efficiency_12300"] == figures["efficiency_alpha"] == 1
    assert figures["abs_bias_12300"] < 0.02
    assert figures["placed_300"] == 24
    assert figures["fakes_per_frame"] < 1
