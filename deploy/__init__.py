"""Where and how maillon runs: topics and users as data, one machine, and the command for operations."""
