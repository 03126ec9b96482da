"""Settings of the whole suite."""

import os

# Two processes test at a time, on two cores; torch reads this when it is first imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")
