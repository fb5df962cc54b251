"""What the finder hands over to those who measure."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Finding:
    """The clusters of one frame, as labelled macro-pixels.

    The arrays belong to the `ImageAnalysis` that found them and hold until it finds again.

    :param labels: (macro rows, macro columns) int32, 1 to `found` in clusters, 0 elsewhere.
    :param ys: int32, rows of the labelled macro-pixels: the first `n_core` are over threshold, the
        rest up to `n` are the rim.
    :param xs: int32, the same for columns.
    :param n_core: macro-pixels over threshold that belong to a cluster.
    :param n: macro-pixels with a label, rim included.
    :param found: number of clusters.
    :param complete: false if the search was cut short.
    :param is_spark: the whole frame is lit; nothing was searched.
    :param light: sum of the residuals of all valid pixels [ADU].
    """

    labels: npt.NDArray[np.int32]
    ys: npt.NDArray[np.int32]
    xs: npt.NDArray[np.int32]
    n_core: int
    n: int
    found: int
    complete: bool
    is_spark: bool = False
    light: float = 0.0
