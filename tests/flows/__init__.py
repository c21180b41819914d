"""The whole chain, in one stack of its own."""
