"""Networks that differ in the noise they were trained with alone, tested on real pairs.

Content, network, steps and budget are fixed; a row of the bench is a kind of noise on the clean
halves of the training scenes. ``noisegen bench realnoise`` runs :class:`denoisers.realnoise.bench`.
"""
