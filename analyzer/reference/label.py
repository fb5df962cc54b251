"""Twin of `analyzer.kernels.label`."""

import numpy as np

from analyzer.kernels.arrays import I32, U8


def label_clusters(mark: U8, link: int, min_size: int, max_clusters: int) -> tuple[I32, int, bool]:
    """Return the labels, their number, and whether clusters were dropped for their number.

    Groups are found by walking from each macro-pixel to all that are near, not by joining.
    """
    places = [(int(row), int(column)) for row, column in np.argwhere(mark)]
    left = dict.fromkeys(places)
    labels = np.zeros(mark.shape, np.int32)
    count, dropped = 0, False
    for start in places:
        if start not in left:
            continue
        del left[start]
        group = [start]
        for row, column in group:  # grows while it is walked through
            near = [p for p in left if abs(p[0] - row) <= link and abs(p[1] - column) <= link]
            for place in near:
                del left[place]
            group.extend(near)
        has_seed = any(mark[place] == 2 for place in group)
        if has_seed and len(group) >= min_size:
            if count == max_clusters:
                dropped = True
                continue
            count += 1
            for place in group:
                labels[place] = count
    return labels, count, dropped
