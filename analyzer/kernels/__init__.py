"""Compiled kernels: arrays in, arrays out, no GIL; each has a NumPy twin as its oracle."""

from pathlib import Path

from analyzer.kernels.cache import forget_stale

forget_stale(Path(__file__).parent)
