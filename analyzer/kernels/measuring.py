"""What the kernels must know to measure clusters."""

import numpy as np

_i8, _f8 = np.int64, np.float64

MEASURING = np.dtype(
    [
        ("cimax", _i8),  # pixels of at least this are saturated [ADU]
        ("clip", _i8),  # largest residual of a pixel without light [1/32 ADU]
        ("rebin", _i8),  # side of a macro-pixel [pixel]
        ("shift_limit", _i8),  # largest shift of a row [1/32 ADU]
        ("rim", _f8),  # macro-pixels around tracks that are summed, too [pixel]
        ("nsigma", _f8),  # a hit is so many times its noise
        ("adu_per_kev", _f8),
        ("pixel_noise", _f8),  # of a typical pixel [ADU]
        ("spot_reach", _f8),  # sigmas up to which round spots are weighed; 0: none is
        ("spot_window", _f8),  # sigma of the window for their middle and width [pixel]
        ("track_elongation", _f8),  # least ratio of the axes of a track
        ("spot_length", _f8),  # of the longest spot [pixel]
        ("spark_adu", _f8),  # light that particles do not give [ADU]
        ("fe55_window", _f8),  # part of their energy by which 55Fe's spots may miss it
        ("alpha_density", _f8),  # least light of an alpha's hit [ADU]
        ("alpha_length", _f8),  # more than that is that of an alpha [pixel]
        ("muon_density", _f8),  # highest light of a muon's hit [ADU]
        ("muon_length", _f8),  # more than that is that of a muon [pixel]
        ("xmin", _i8),  # acceptance, half open [pixel]
        ("xmax", _i8),
        ("ymin", _i8),
        ("ymax", _i8),
        ("outside", _i8),  # flags of a cluster
        ("at_edge", _i8),
        ("spot", _i8),
        ("fe55", _i8),
        ("alpha", _i8),
        ("muon", _i8),
        ("spark", _i8),
        ("saturated", _i8),  # flag of an event
    ]
)
"""Settings, and what follows from the pedestal; the same for all frames of a run."""
