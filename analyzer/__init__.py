"""Pedestals, kernels, clusters, waveforms, quality: online and from file."""
