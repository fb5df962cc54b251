"""Count what a reconstruction found of what was placed."""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.scenes import Placed

SPOT_REACH, TRACK_REACH = 12.0, 40.0
"""A cluster whose middle is that near belongs to an object [pixel]."""
ARM = 0.25
"""A cluster lies along an object if its axis does, so far from its middle, in parts of its length.
Two tracks that cross in their middles have that middle in common."""
WHOLE = 0.8
"""A track is in one piece if one cluster alone holds that part of its light."""

Clusters = npt.NDArray[Any]


@dataclass
class Tally:
    """What became of the objects of one kind."""

    placed: int = 0
    found: int = 0
    whole: int = 0
    splits: int = 0
    merges: int = 0
    fakes: int = 0
    frames: int = 0
    seconds: list[float] = field(default_factory=list)
    ratios: list[float] = field(default_factory=list)
    distances: list[float] = field(default_factory=list)

    def add(self, objects: list[Placed], clusters: Clusters, seconds: float) -> None:
        """Compare the clusters of a frame with what was placed."""
        self.frames += 1
        self.seconds.append(seconds)
        self.placed += len(objects)
        owner = _owners(objects, clusters)
        self.fakes += int((owner < 0).sum())
        for number, one in enumerate(objects):
            mine = clusters[owner == number]
            if not len(mine):
                self.merges += bool(_covered(one, clusters).any())
                continue
            self.found += 1
            self.splits += len(mine) - 1
            best = mine[np.argmax(mine["sc_integral"])]
            ratio = float(best["sc_integral"]) / one.light_adu
            self.whole += len(mine) == 1 and ratio > WHOLE
            self.ratios.append(ratio)
            self.distances.append(
                math.hypot(best["sc_ymean"] - one.row, best["sc_xmean"] - one.column)
            )

    def figures(self, name: str) -> dict[str, float]:
        """Return the figures, with the kind in their names; without those that nothing tells."""
        figures: dict[str, float] = {}
        if self.placed:
            figures = {
                f"efficiency_{name}": self.found / self.placed,
                f"placed_{name}": self.placed,
                f"one_piece_{name}": self.whole / self.placed,
                f"splits_{name}": self.splits,
                f"merges_{name}": self.merges,
            }
        if self.ratios:
            ratios = np.array(self.ratios)
            figures[f"bias_{name}"] = float(ratios.mean() - 1)
            figures[f"abs_bias_{name}"] = abs(figures[f"bias_{name}"])
            figures[f"rms_{name}"] = float(ratios.std())
            figures[f"position_{name}_px"] = float(np.median(self.distances))
        return figures


def _owners(objects: list[Placed], clusters: Clusters) -> npt.NDArray[np.intp]:
    """Return which object each cluster belongs to, the nearest in reach; -1 for none."""
    rows, columns = clusters["sc_ymean"], clusters["sc_xmean"]
    owner = np.full(len(rows), -1, np.intp)
    nearest = np.full(len(rows), np.inf)
    for number, one in enumerate(objects):
        reach = TRACK_REACH if one.length else SPOT_REACH
        distance = one.distances(rows, columns)
        is_near = distance < reach
        if one.length:
            arm = ARM * clusters["sc_length"]
            dy, dx = arm * np.sin(clusters["sc_theta"]), arm * np.cos(clusters["sc_theta"])
            ends = [one.distances(rows + sign * dy, columns + sign * dx) for sign in (-1, 1)]
            distance = np.maximum(*ends)
        closer = is_near & (distance < nearest)
        owner[closer], nearest[closer] = number, distance[closer]
    return owner


def _covered(one: Placed, clusters: Clusters) -> npt.NDArray[np.bool_]:
    inside = (clusters["sc_xmin"] <= one.column) & (one.column <= clusters["sc_xmax"])
    inside &= (clusters["sc_ymin"] <= one.row) & (one.row <= clusters["sc_ymax"])
    return np.asarray(inside, np.bool_)
