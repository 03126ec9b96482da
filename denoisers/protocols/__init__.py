"""Test protocols as they were published, each by its own rules."""
