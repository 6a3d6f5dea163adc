"""Replays: what is asked for, which signals are meant, whether each may run, running them, what came of it."""
