"""Simulated detector and devices, the standalone experiment, replay."""
