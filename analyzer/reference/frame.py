"""Twin of `analyzer.kernels.frame`."""

import numpy as np

from analyzer.kernels.arrays import I32, I64, U16
from analyzer.kernels.residual import DEFECT, ROW_SUM, ROW_USED, SAMPLED, SCALE


def rebin_frame(frame: U16, level: U16, cimax: int, clip: int, rebin: int) -> tuple[I32, I64]:
    """Return the sums of macro-pixels and the row statistics; see the kernel."""
    values = frame.astype(np.int64)
    valid = (level != DEFECT) & (values < cimax)
    residual = np.where(valid, values * SCALE - level, 0)
    rows, columns = frame.shape
    padded = np.pad(residual, ((0, -rows % rebin), (0, -columns % rebin)))
    blocks = padded.reshape(padded.shape[0] // rebin, rebin, padded.shape[1] // rebin, rebin)
    inside = valid & (np.abs(residual) <= clip)
    kept = np.where(inside, residual, 0)
    is_sampled = np.arange(rows) % (SAMPLED * rebin) == 0
    statistics = [
        inside.sum(axis=1),
        kept.sum(axis=1),
        np.where(is_sampled, (kept**2).sum(axis=1), 0),
        np.where(is_sampled, values.sum(axis=1), 0),
        np.where(is_sampled, (values**2).sum(axis=1), 0),
        (values >= cimax).sum(axis=1),
        values.max(axis=1),
    ]
    return blocks.sum(axis=(1, 3)).astype(np.int32), np.stack(statistics, axis=1).astype(np.int64)


def find_shifts(rows: I64, limit: int) -> I64:
    """Return the common shift of each row [1/32 ADU]; see the kernel."""
    used, total = rows[:, ROW_USED], rows[:, ROW_SUM]
    common = total.sum() / max(int(used.sum()), 1)
    is_dark = used > 0.25 * max(int(used.max()), 1)
    shift = np.where(is_dark, total / np.maximum(used, 1), common)
    return np.clip(np.rint(shift), -limit, limit).astype(np.int64)
