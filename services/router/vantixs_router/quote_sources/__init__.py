"""Quotes from outside: those that are given by calls, and those of a file."""
