"""Operators that networks are built of and torch does not have."""
