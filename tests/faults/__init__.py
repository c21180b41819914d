"""The whole chain under fire, and a ledger that says afterwards whether each thing was done once."""
