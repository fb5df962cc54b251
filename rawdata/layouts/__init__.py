"""CYGNO's bank layouts: what the bytes of each bank mean, to write and to read.

`camera` CAM<i>, CZ<i>; `digitizer` DIG0 and DGH0 (generations A, B, C); `times` FID<i>, TSP<i>,
TIME; `slow` INPT, TCAM, TMOD; `high_voltage` DMND, MSRD, CRNT, STAT, TPTR.
"""

from rawdata.layouts import camera, digitizer, high_voltage, slow, times

__all__ = ["camera", "digitizer", "high_voltage", "slow", "times"]
