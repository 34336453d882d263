"""The similarity index's rooms: the field it covers, its files, its state, its answers."""
