"""What runs a network fast: one file a kind of engine, and the table that finds the one for a device."""
