"""Compiled kernels: arrays in, arrays out, no GIL; each has a NumPy twin as its oracle."""
