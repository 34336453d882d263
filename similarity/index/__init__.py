"""The similarity index: its files, its state, its queries."""
