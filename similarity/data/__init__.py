"""The only user of FiftyOne's internals: samples, vectors, run records, views, the archive, locks and files."""
