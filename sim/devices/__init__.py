"""Simulated devices behind the contracts of ``hardware``."""
