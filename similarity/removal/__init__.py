"""Taking samples out of a dataset, or their files aside, and the way back."""
