"""Lanes: which replica runs which signals, and in what order."""
