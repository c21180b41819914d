"""One donation walked through the whole chain on this machine, by the hands that would do it: donor, staff, refurbisher, structure."""
