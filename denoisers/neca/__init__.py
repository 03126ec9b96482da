"""Training of NeCA's networks: critics, losses, and the recipe that ``noisegen fit neca`` follows.

The networks that make noise are :mod:`noisegen.neca`'s.
"""
