"""What clusters look like, and where they lie: their flags."""

from analyzer.kernels.arrays import Records, Row
from analyzer.kernels.lean import lean

FE55_KEV = 5.9
"""Energy of the K alpha line of 55Fe [keV]."""


@lean
def flag_clusters(n_rows: int, n_columns: int, setup: Row, clusters: Records) -> None:
    """Fill in the flags of clusters.

    :param n_rows: of the frame [pixel]; `n_columns` likewise.
    :param setup: of `MEASURING`.
    :param clusters: in and out, fields of `dtypes.CLUSTER`, complete but for their flags.
    """
    for k in range(clusters.shape[0]):
        row = clusters[k]
        x, y = row.sc_xmean, row.sc_ymean
        flags = _kind_of(row, setup)
        if x < setup.xmin or x >= setup.xmax or y < setup.ymin or y >= setup.ymax:
            flags |= setup.outside
        if row.sc_xmin == 0 or row.sc_xmax == n_columns - 1:
            flags |= setup.at_edge
        if row.sc_ymin == 0 or row.sc_ymax == n_rows - 1:
            flags |= setup.at_edge
        row.flags = flags


@lean
def _kind_of(row: Row, setup: Row) -> int:
    """Tell what a cluster looks like."""
    length, light = row.sc_length, row.sc_integral
    density = light / max(row.sc_nhits, 1)
    elongation = row.sc_longrms / max(row.sc_latrms, 1e-3)
    is_spark = light > setup.spark_adu
    is_spot = length <= setup.spot_length and elongation < 2 * setup.track_elongation
    is_spot = is_spot and not is_spark
    flags = 0
    if is_spot:
        flags |= setup.spot
        if abs(row.sc_energy / FE55_KEV - 1.0) < setup.fe55_window:
            flags |= setup.fe55
    elif not is_spark and density > setup.alpha_density and length > setup.alpha_length:
        flags |= setup.alpha
    if density < setup.muon_density and length > setup.muon_length:
        flags |= setup.muon
    if is_spark:
        flags |= setup.spark
    return flags
