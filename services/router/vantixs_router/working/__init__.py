"""Orders that rest, and the brackets of positions: what becomes of them once their signal has ended."""
