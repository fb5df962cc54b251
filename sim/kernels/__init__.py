"""Compiled loops of the simulation: arrays in, arrays out, no GIL."""

from pathlib import Path

from analyzer.kernels.cache import forget_stale

forget_stale(Path(__file__).parent)
