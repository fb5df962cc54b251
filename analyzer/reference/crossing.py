"""Twin of `analyzer.kernels.crossing` and `analyzer.kernels.lines`."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from analyzer.kernels import crossing as kernel
from analyzer.kernels import lines as straight
from analyzer.kernels.arrays import F64, I32, I64

Flags = npt.NDArray[np.bool_]


@dataclass
class Line:
    """A line through (x, y) in a direction; where it runs along, half its width, its light."""

    x: float
    y: float
    angle: float
    low: float = 0.0
    high: float = 0.0
    width: float = 0.0
    light: float = 1.0

    def places(self, y: F64, x: F64) -> tuple[F64, F64]:
        """Return places along and across."""
        cosine, sine = math.cos(self.angle), math.sin(self.angle)
        dx, dy = x - self.x, y - self.y
        return dx * cosine + dy * sine, dy * cosine - dx * sine

    def distances(self, y: F64, x: F64) -> F64:
        """Return distances from where it runs."""
        along, across = self.places(y, x)
        return np.asarray(np.hypot(along - np.clip(along, self.low, self.high), across))


def seek_line(y: F64, x: F64, weight: I64, band: int) -> tuple[Line, int]:
    """Return the line with most weight of points near it, and how many are within two bins."""
    offset = int(np.hypot(x, y).max()) + 40
    best, most, count = Line(0, 0, 0), 0, 0
    for angle in np.pi * np.arange(straight.ANGLES) / straight.ANGLES:
        place = np.floor(y * np.cos(angle) - x * np.sin(angle) + offset + 0.5).astype(int)
        weights = np.bincount(place, weight, 2 * offset).astype(int)
        near = np.convolve(weights, np.ones(2 * band + 1, int), "same")
        if near.max() > most:
            most = int(near.max())
            count = int((np.abs(place - near.argmax()) <= 2).sum())
            distance = int(near.argmax()) - offset
            best = Line(-distance * math.sin(angle), distance * math.cos(angle), float(angle))
    return best, count


def refine_line(y: F64, x: F64, line: Line, reach: float) -> Line:
    """Return the line through the middle of the points near it."""
    for _ in range(3):
        near = np.abs(line.places(y, x)[1]) <= reach
        if not near.any():
            break
        (xx, xy), (_, yy) = np.cov(np.stack([x[near], y[near]]), bias=True)
        angle = 0.5 * math.atan2(2 * xy, xx - yy)
        line = Line(float(x[near].mean()), float(y[near].mean()), angle)
    return line


def measure_run(y: F64, x: F64, line: Line) -> None:
    """Set from where to where a line runs without a gap, and half its width."""
    along, across = line.places(y, x)
    lit = np.unique(np.floor(along[np.abs(across) <= straight.HALF_WIDTH] + 0.5))
    runs = np.split(lit, np.flatnonzero(np.diff(lit) > straight.MAX_GAP) + 1)
    if lit.size:
        longest = max(reversed(runs), key=lambda run: run[-1] - run[0])
        line.low, line.high = float(longest[0]), float(longest[-1])
    inside = (line.low <= along) & (along <= line.high)
    beside = np.bincount(np.floor(np.abs(across[inside]) + 0.5).astype(int), minlength=20)
    dark = np.flatnonzero(beside[1 : straight.MAX_WIDTH] < 1.5 * (line.high - line.low))
    width = 1 + (int(dark[0]) if dark.size else straight.MAX_WIDTH - 1)
    line.width = max(straight.HALF_WIDTH, width + 1.0)


def arms(line: Line, other: Line) -> tuple[float, float]:
    """Return how far a line goes on beyond another one: the shorter and the longer way."""
    sine = math.sin(other.angle - line.angle)
    if abs(sine) < kernel.MIN_SINE:
        return -1.0, -1.0
    dx, dy = other.x - line.x, other.y - line.y
    place = (dx * math.sin(other.angle) - dy * math.cos(other.angle)) / sine
    ways = sorted((line.high - place, place - line.low))
    return ways[0] - other.width / abs(sine), ways[1] - other.width / abs(sine)


def are_two(line: Line, other: Line) -> bool:
    """Tell whether lines cross, or one ends at the other's side."""
    a, b = arms(line, other), arms(other, line)
    touches = [
        one[0] >= kernel.MIN_ARM and two[1] >= kernel.MIN_LENGTH and two[0] >= -kernel.REACH
        for one, two in ((a, b), (b, a))
    ]
    return min(a[0], b[0]) >= kernel.MIN_ARM or any(touches)


def are_beside(y: F64, x: F64, light: F64, line: Line, other: Line) -> bool:
    """Tell whether lines lie beside each other, with darkness between them all along."""
    turn = other.angle - line.angle
    if abs(math.sin(turn)) >= kernel.MIN_SINE:
        return False
    ends = np.array([other.low, other.high])
    (first, last), _ = line.places(
        other.y + ends * math.sin(other.angle), other.x + ends * math.cos(other.angle)
    )
    low, high = max(line.low, min(first, last)), min(line.high, max(first, last))
    (middle,), (aside,) = line.places(np.array([other.y]), np.array([other.x]))

    def apart(place: F64) -> F64:
        return np.asarray(aside + math.tan(turn) * (place - middle))

    centre = np.array((low + high) / 2)
    if high - low < kernel.MIN_OVERLAP or abs(apart(centre)) < kernel.MIN_BESIDE:
        return False
    along, across = line.places(y, x)
    place = across / apart(along)
    inside = (low <= along) & (along < high)
    third = np.minimum(3 * (along - low) / (high - low), 2).astype(int)
    parts = [third == k for k in range(3)]
    if abs(line.low - min(first, last)) <= kernel.BEND:
        parts.append(along < low + kernel.BEND)
    if abs(line.high - max(first, last)) <= kernel.BEND:
        parts.append(along >= high - kernel.BEND)

    def mean(where: float, half_width: float, chosen: Flags) -> float:
        near = inside & chosen & (np.abs(place - where) < half_width)
        return float(light[near].sum() / max(near.sum(), 1))

    wide = 2 * kernel.HALF_VALLEY
    most = kernel.MAX_VALLEY * min(mean(0, wide, inside), mean(1, wide, inside))
    darkest = [
        min(mean(where, kernel.HALF_VALLEY, part) for where in kernel.VALLEYS) for part in parts
    ]
    return max(darkest) < most


def is_hollow(y: F64, x: F64, light: F64, line: Line) -> bool:
    """Tell whether it is darker along a line than on both sides of it, in each third of it."""
    along, across = line.places(y, x)
    along, length = along - line.low, line.high - line.low
    place = np.floor(across + 0.5).astype(int)
    reach = int(line.width) + 1
    inside = (along >= 0) & (along < length) & (np.abs(place) <= reach)
    third = np.minimum(3 * along / max(length, 1e-9), 2).astype(int)
    means = np.array(
        [
            [
                light[chosen].mean()
                if (chosen := inside & (third == k) & (place == p)).any()
                else 0
                for p in range(-reach, reach + 1)
            ]
            for k in range(3)
        ]
    )
    sides = np.minimum(means[:, :reach].max(axis=1), means[:, reach + 1 :].max(axis=1))
    return bool((means[:, reach] < kernel.MAX_VALLEY * sides).all())


def find_lines(y: F64, x: F64, light: F64) -> list[Line]:
    """Return the lines of which a cluster consists; only the first if it is to stay whole."""
    few = (1.0 - kernel.MIN_EXPLAINED) * len(y)
    whole = refine_line(y, x, Line(0, 0, 0), np.inf)
    measure_run(y, x, whole)
    is_one = (whole.distances(y, x) > whole.width).sum() <= few
    if is_one and not is_hollow(y, x, light, whole):
        return [whole]
    weight = 1 + np.clip(light, 0, straight.MAX_WEIGHT * np.median(light)).astype(np.int64)
    lines = explain_by_lines(y, x, light, weight, 1)
    if len(lines) < 2 and not is_one:
        lines = explain_by_lines(y, x, light, np.ones_like(weight), 2)
    return lines


def explain_by_lines(y: F64, x: F64, light: F64, weight: I64, band: int) -> list[Line]:
    """Return the lines that explain nearly all of a cluster; at most one if they do not."""
    is_free = np.ones(len(y), bool)
    lines: list[Line] = []
    few = (1.0 - kernel.MIN_EXPLAINED) * len(y)
    while len(lines) < kernel.MAX_LINES and is_free.sum() > few:
        line, count = seek_line(y[is_free], x[is_free], weight[is_free], band)
        if count < 2 * kernel.MIN_LENGTH:
            break
        line = refine_line(y[is_free], x[is_free], line, straight.HALF_WIDTH)
        measure_run(y, x, line)
        is_own = not lines or any(are_two(line, other) for other in lines)
        if line.high - line.low < kernel.MIN_LENGTH or not is_own:
            measure_run(y[is_free], x[is_free], line)
            if not any(are_beside(y, x, light, other, line) for other in lines):
                break
        is_free &= line.distances(y, x) > line.width
        lines.append(line)
    return lines if is_free.sum() <= few else lines[:1]


def split_crossings(labels: I32, sums: I32, least: int, max_clusters: int) -> I32:
    """Return labels, with one of its own for each of several tracks over each other."""
    result = labels.copy()
    for label in range(1, int(labels.max(initial=0)) + 1):
        rows, columns = np.nonzero(labels == label)
        found = int(result.max())
        if not least <= len(rows) <= kernel.MAX_SIZE:
            continue
        y, x = rows - np.floor(rows.mean()), columns - np.floor(columns.mean())
        lines = find_lines(y, x, sums[rows, columns].astype(np.float64))
        if len(lines) < 2 or found + len(lines) - 1 > max_clusters:
            continue
        distances = np.array([line.distances(y, x) for line in lines])
        wide = np.array([[2 * line.width] for line in lines])
        for number, line in enumerate(lines):
            others = np.arange(len(lines)) != number
            near = distances[number] <= 1
            alone = near & (distances > wide)[others].all(axis=0)
            alone = alone if alone.any() else near
            light = sums[rows[alone], columns[alone]]
            line.light = max(float(light.mean()) if light.size else 0.0, 1.0)
        pull = kernel.SPREAD * distances / np.array([[line.width] for line in lines])
        expected = np.log([[line.light] for line in lines]) - 0.5 * pull**2
        best = expected.argmax(axis=0)
        names = np.concatenate([[label], found + np.arange(1, len(lines))])
        result[rows, columns] = names[best]
    return result
