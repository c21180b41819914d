"""The shape of the tree, held by tests: budgets, names, locks, migrations."""
