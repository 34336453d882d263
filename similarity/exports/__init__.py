"""What is written outside of the dataset: folders, formats, manifest, report."""
