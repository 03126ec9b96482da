"""How well networks restore the pictures of a test protocol, and what is written of it."""
