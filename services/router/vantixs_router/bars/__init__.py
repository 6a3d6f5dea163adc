"""Closed bars: one replica builds them, all keep the last ones."""
