"""What was published stays readable, and what is written down about it is true."""
