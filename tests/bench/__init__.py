"""How fast, and compared to what: ratios within one run, on the real broker and database. Prints figures, asserts nothing."""
