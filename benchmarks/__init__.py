"""Ratios to named baselines, measured in the same run; see :mod:`benchmarks.harness`."""
