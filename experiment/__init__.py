"""The port to an experiment: one Client, on a real MIDAS or on the standalone experiment."""
