"""Compiled loops of the simulation: arrays in, arrays out, no GIL."""
