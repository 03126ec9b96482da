"""Reports: one HTML file each, with all that it shows inside, readable without a network."""
