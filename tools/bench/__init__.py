"""Side-by-side measurements: ``python -m tools.bench [--quick]``."""
