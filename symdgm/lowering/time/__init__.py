"""Time: sequences step by step, the loop that only what is carried needs, and sums over steps."""
