"""What changed from one pedestal to the next: a drift that comes over weeks is seen here."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from analyzer.dtypes import TILES
from analyzer.pedestal import Pedestal


@dataclass(frozen=True)
class Change:
    """A pedestal against an earlier one of the same shape.

    :param since: what the earlier one was made from.
    :param level_adu: mean difference of pixels that are good in both [ADU].
    :param spread_adu: its standard deviation from pixel to pixel [ADU].
    :param worst_tile_adu: the largest mean difference of one of 8x8 parts of the frame [ADU].
    :param noise_ratio: median noise over that of the earlier one.
    :param new_defects: pixels that were good; `gone_defects` that are good again.
    """

    since: str
    level_adu: float
    spread_adu: float
    worst_tile_adu: float
    noise_ratio: float
    new_defects: int
    gone_defects: int

    def summary(self) -> dict[str, Any]:
        """Return it as JSON can hold it."""
        facts = asdict(self)
        return {k: round(v, 4) if isinstance(v, float) else v for k, v in facts.items()}


def change_since(pedestal: Pedestal, earlier: Pedestal) -> Change:
    """Compare a pedestal with an earlier one of the same shape."""
    was_good, is_good = earlier.defects == 0, pedestal.defects == 0
    both = was_good & is_good
    difference = np.where(both, pedestal.mean - earlier.mean, 0).astype(np.float64)
    tiles = []
    for rows, used in zip(*(np.array_split(a, TILES) for a in (difference, both)), strict=True):
        for part, count in zip(
            *(np.array_split(a, TILES, axis=1) for a in (rows, used)), strict=True
        ):
            tiles.append(float(part.sum() / max(count.sum(), 1)))
    usual = earlier.typical_sigma()
    return Change(
        since=earlier.source,
        level_adu=float(difference.sum() / max(both.sum(), 1)),
        spread_adu=float(difference[both].std()) if both.any() else 0.0,
        worst_tile_adu=max(tiles, key=abs),
        noise_ratio=pedestal.typical_sigma() / usual if usual else float("nan"),
        new_defects=int(np.count_nonzero(was_good & ~is_good)),
        gone_defects=int(np.count_nonzero(is_good & ~was_good)),
    )
