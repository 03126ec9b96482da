"""Named recipes for training NeCA, one TOML file each, read by :mod:`denoisers.presets`."""
