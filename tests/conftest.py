"""Settings of the whole suite."""

import os

from hypothesis import settings

# Two processes test at a time, on two cores; torch reads this when it is first imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Speed is measured by benchmarks: what else a machine does is no fault of a law.
settings.register_profile("noisegen", settings(), deadline=None)
settings.load_profile("noisegen")
