"""Tests, laid out as the code they are about; flows, faults, contracts and the shape of the tree beside them."""
