"""Benchmarks, one module per exhibit, and their tests."""

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1")
"""Environment that keeps every library to one thread; set before it is loaded."""
