"""The pages of routing for the staff: the board, one consignment, load and lateness."""
