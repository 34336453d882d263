"""One file per step: (samples, options) -> result."""
