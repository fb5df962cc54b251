"""The simulated detector: what happens in the gas, and what sensor and PMTs make of it."""
