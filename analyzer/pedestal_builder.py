"""Make a pedestal from the frames of a run, of which some may hold light.

Median and spread of the first frames say what is noise and what is light (a particle in the sensor,
say); all frames are then summed within five times the noise, in whole numbers, so that any number
of frames needs the same memory and the sum does not depend on their order or the threads.
"""

import os
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from analyzer.errors import PedestalError
from analyzer.frames import as_frame
from analyzer.kernels.pedestal import (
    BATCH,
    MAX_CLIP,
    accumulate,
    center_and_spread,
    conclude,
    sorting_network,
)
from analyzer.pedestal import MAD_TO_SIGMA, Defect, Pedestal, find_defects
from analyzer.settings import AnalyzerSettings

Image = npt.NDArray[np.uint16]

REFERENCE_FRAMES: Final = 15
"""First frames whose median tells noise from light."""

CLIP_SIGMA: Final = 5.0
"""Values farther from the median are not noise."""

UNSTABLE_FRACTION: Final = 0.1
"""A pixel with more than that part of its values left out is a defect."""

MAX_THREADS: Final = 4
"""More do not help: memory is then the limit."""


class PedestalBuilder:
    """Sums frames of one camera to a pedestal; memory does not grow with their number.

    The frames given to `add` are read until the next batch of them is full: they must stay as they
    are. Who gives up before `build` calls `close`.

    :param workers: threads; 0: one a core.
    """

    def __init__(
        self, shape: tuple[int, int], settings: AnalyzerSettings, workers: int = 0
    ) -> None:
        self.shape = shape
        self.frames = 0
        self._settings = settings
        self._first: list[Image] = []
        self._batch: list[Image] = []
        self._center: Image | None = None
        self._clip = np.empty(0, np.uint16)
        self._count = np.zeros(shape, np.uint32)
        self._total = np.zeros(shape, np.int64)
        self._squares = np.zeros(shape, np.int64)
        workers = min(workers or os.cpu_count() or 1, MAX_THREADS, shape[0])
        edges = [shape[0] * i // workers for i in range(workers + 1)]
        self._bands = list(pairwise(edges))
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="pedestal")
        self._busy: list[Future[None]] = []

    def add(self, frame: Image) -> None:
        """Add one frame, (rows, columns) uint16 [ADU].

        :raises PedestalError: if its shape is not that of the frames before.
        """
        if frame.shape != self.shape:
            raise PedestalError(
                f"frame {self.frames} has {frame.shape[0]}x{frame.shape[1]} pixels, "
                f"those before {self.shape[0]}x{self.shape[1]}; a pedestal needs one shape"
            )
        self.frames += 1
        self._batch.append(as_frame(frame))
        if self._center is None:
            self._first.append(self._batch.pop())
            if len(self._first) == REFERENCE_FRAMES:
                self._use_first()
        elif len(self._batch) == BATCH:
            self._sum_batch()

    def build(
        self,
        *,
        exposure_s: float,
        source: str,
        run: int,
        temperature_c: float = float("nan"),
        camera_name: str = "",
    ) -> Pedestal:
        """Return the pedestal; the builder is closed then.

        :raises PedestalError: if there were too few frames.
        """
        try:
            wanted = self._settings.pedestal_min_frames
            if self.frames < wanted:
                raise PedestalError(
                    f"{source}: {self.frames} frames, a pedestal needs at least {wanted} "
                    "(setting Pedestal frames); take a longer pedestal run"
                )
            mean, sigma = self._mean_and_sigma()
        finally:
            self.close()
        defects = find_defects(mean, sigma, self._settings)
        least = (1 - UNSTABLE_FRACTION) * self.frames
        defects[self._count < least] |= np.uint8(Defect.UNSTABLE)
        return Pedestal(
            mean,
            sigma,
            defects,
            self.frames,
            exposure_s=exposure_s,
            temperature_c=temperature_c,
            source=source,
            run=run,
            camera_name=camera_name,
        )

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _mean_and_sigma(self) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        center = self._use_first() if self._center is None else self._center
        for frame in self._batch:
            self._sum((frame,), center)
        self._batch = []
        self._wait()
        mean, sigma = np.empty((2, *self.shape), np.float32)
        self._share(conclude, after=(center, self._count, self._total, self._squares, mean, sigma))
        self._wait()
        return mean, sigma

    def _use_first(self) -> Image:
        stack = np.stack(self._first)
        center, spread = np.empty(self.shape, np.uint16), np.empty(self.shape, np.uint16)
        pairs = sorting_network(len(stack))
        self._share(center_and_spread, stack, pairs, after=(center, spread))
        self._wait()
        usual = float(spread.mean(dtype=np.float64))
        sigma = MAD_TO_SIGMA * np.maximum(spread.astype(np.float32), max(usual, 0.5))
        self._clip = np.minimum(np.ceil(CLIP_SIGMA * sigma), MAX_CLIP).astype(np.uint16)
        self._center = center
        self._batch, self._first = self._first, []
        while len(self._batch) >= BATCH:
            self._sum_batch()
        return center

    def _sum_batch(self) -> None:
        batch, self._batch = tuple(self._batch[:BATCH]), self._batch[BATCH:]
        if self._center is not None:
            self._sum(batch, self._center)

    def _sum(self, frames: tuple[Image, ...], center: Image) -> None:
        self._wait()
        sums = (center, self._clip, self._count, self._total, self._squares)
        self._share(accumulate, frames, after=sums)

    def _share(self, kernel: Any, *before: Any, after: tuple[Any, ...]) -> None:
        """Let each thread work on its band of rows."""
        self._busy = [
            self._pool.submit(partial(kernel, *before, begin, end, *after))
            for begin, end in self._bands
        ]

    def _wait(self) -> None:
        for task in self._busy:
            task.result()
        self._busy = []
