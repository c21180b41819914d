"""What routing decides, pure: the wish of a donation, refurbishers, consignments, and the rules that weigh one against another."""
