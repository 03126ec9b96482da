"""How real noise is: measures of noise fields, distances between two sets, and a classifier.

:mod:`~pipelines.realism.noise` turns a pair into a noise field whose dependence on the level is
taken out; :mod:`~pipelines.realism.measures` sums its statistics, pair after pair;
:mod:`~pipelines.realism.distances` compares two sums; :mod:`~pipelines.realism.features` and
:mod:`~pipelines.realism.classifier` try to tell two sets apart, patch by patch;
:mod:`~pipelines.realism.comparison` does all of it for one real and several synthetic sets, beside
the same numbers for halves of the real set: the zero of every scale.
"""
