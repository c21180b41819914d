"""Event -> commands."""
