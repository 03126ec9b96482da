"""Fused numba kernels: the bulk path.

Every kernel is strict in its floating point (no fastmath), so its bytes are the same on any x86-64
processor. Every kernel releases the GIL and starts no threads of its own. Machine code is cached on
disk beside the module, or in numba's user cache where that cannot be written. numba looks only at
the time stamp of a kernel's own file: who edits :mod:`noisegen.kernels.philox`, ``draws`` or
``rows`` in a checkout must touch, or clear the caches of, the modules that inline them.
"""

from noisegen.kernels.philox import normals, words

__all__ = ["normals", "words"]
