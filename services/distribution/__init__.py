"""Distribution: structures and what they need, the stock of ready devices, vouchers, prices, sales.

Owns needs and campaigns, the allotment of devices, vouchers, quotes, sales with warranty and training. Hears
`refurb.devices.<refurbisher>`. Tells `distribution.{stock,orders,vouchers,sales}.<region>`. Of the person who gets a device it knows
a voucher and nothing else.
"""
