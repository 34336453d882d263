"""Files outside of the dataset, written and read again: folders, formats, manifest, report, annotations."""
