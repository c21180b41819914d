"""Deterministic simulation of the kernel: its real code on virtual time, with a broker and a database in memory that fail by a seed."""
