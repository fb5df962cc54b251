"""Sums that do not depend on order or grouping: whole numbers of a small unit.

Floating-point sums differ in their last digits with the order of their terms. Quality figures shall
be the same online and from file, in one piece and merged from parts; so values are rounded once, to
2**-20 of their unit, and summed as Python integers, which are exact and never overflow.
"""

import math
from dataclasses import dataclass
from typing import Final

SCALE: Final = 1 << 20


@dataclass
class Moments:
    """Count, mean, spread and range of a quantity; values that are not finite do not count.

    >>> moments = Moments()
    >>> for value in (1.0, 2.0, float("nan"), 3.0):
    ...     moments.add(value)
    >>> moments.count, moments.mean, moments.sigma, moments.highest
    (3, 2.0, 1.0, 3.0)
    """

    count: int = 0
    total: int = 0
    squares: int = 0
    lowest: float = math.inf
    highest: float = -math.inf

    def add(self, value: float) -> None:
        """Add a value."""
        if not math.isfinite(value):
            return
        fixed = round(value * SCALE)
        self.count += 1
        self.total += fixed
        self.squares += fixed * fixed
        self.lowest = min(self.lowest, value)
        self.highest = max(self.highest, value)

    def merge(self, other: "Moments") -> None:
        """Add all that another has seen."""
        self.count += other.count
        self.total += other.total
        self.squares += other.squares
        self.lowest = min(self.lowest, other.lowest)
        self.highest = max(self.highest, other.highest)

    @property
    def mean(self) -> float:
        """Mean, nan without any value."""
        return self.total / (SCALE * self.count) if self.count else math.nan

    @property
    def sigma(self) -> float:
        """Standard deviation of a sample (n - 1), nan with less than two values."""
        if self.count < 2:
            return math.nan
        spread = self.count * self.squares - self.total * self.total
        return math.sqrt(spread / (self.count * (self.count - 1))) / SCALE
