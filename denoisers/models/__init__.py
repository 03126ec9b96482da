"""The networks, one module a model; :func:`denoisers.create` makes them by name."""
