"""What is written outside of the dataset, and read there again: folders, formats, manifest, report, annotations."""
