"""How a network is run on a whole picture: padding, self-ensemble, tiles."""
