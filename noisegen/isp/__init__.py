"""Image signal processing, differentiable, and its inverse.

``parameters``, ``color``, ``transfer``, ``inverse`` and ``geometry`` need NumPy only; ``pipeline``
and what it calls need torch, which is why nothing is imported here. The fused kernels for bulk
work are in :mod:`noisegen.kernels`.
"""
