"""Training: a recipe, one loop of small parts, and a folder that a killed run goes on from."""
