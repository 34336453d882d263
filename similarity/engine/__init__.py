"""The engine: arrays in, arrays out. Imports no FiftyOne and works without it."""
