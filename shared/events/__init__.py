"""The published language: what the services tell each other. Types only, a module per publisher."""
