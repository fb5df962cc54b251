"""Residuals in fixed point, and the statistics of rows: what the kernels agree on.

Residuals are in units of 1/32 ADU (`SCALE`), since the pedestal is stored as ``round(32 * mean)``
in a uint16. The rounding adds 0.009 ADU rms a pixel, against a readout noise of 2.4 ADU.
"""

SCALE = 32
"""Steps of one ADU in fixed-point residuals."""

DEFECT = 0xFFFF
"""Fixed-point pedestal of a pixel that is to be ignored."""

MAX_LEVEL = 1791 * SCALE
"""Highest fixed-point pedestal of a pixel that is not ignored."""

MAX_CLIP = 1023
"""Largest clip [1/32 ADU]: squares of 4096 residuals then fit into 32 bits."""

SAMPLED = 2
"""Sums of squares and of raw values are taken of one row in so many rows of macro-pixels: they are
for the frame as a whole, of which an eighth says enough, its noise to 0.1 %."""

ROW_USED, ROW_SUM, ROW_SQUARES, ROW_RAW, ROW_RAW_SQUARES, ROW_SATURATED, ROW_MAX = range(7)
"""Columns of the row statistics; see `rebin_frame`."""
