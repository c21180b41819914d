"""routing: which refurbisher gets what of a donation, when it is collected, and the way it takes.

Owns refurbishers (skills, capacity, load), the reception points and consignments. Hears donations (intake), and arrivals, refusals,
capacities and finished devices (refurb). Tells `routing.consignments.<refurbisher>`. People: planners, drivers, reception points.
"""
