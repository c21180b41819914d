"""The kernel: what every service stands on. It knows no service and no business word (`events` apart, which are types only)."""
