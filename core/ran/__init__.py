"""Shared radio: units, propagation, fading, numerology, modulation, mutual information, fixed point, kernels and sweeps. Knows no exhibit."""
