"""The panel "Deduplication": its state, and its parts."""
