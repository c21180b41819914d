"""The platform of one machine, the map as data, the command for operations."""
