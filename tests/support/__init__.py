"""What tests stand on: the broker and database they run against, guards around them, programs of the system."""
