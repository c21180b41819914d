"""What runs the whole of maillon on one machine, with nothing but Python: broker, database, gateway, services."""
