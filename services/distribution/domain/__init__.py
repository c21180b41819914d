"""What may happen in distribution, and what then holds. No I/O, no clock: dates and rules come in as arguments.

- `stock`: one ready device, from the refurbisher's shelf to its sale
- `needs`: what one structure asked for in one campaign, and what it was given
- `vouchers`: the right to one device, spent once
- `sales`: one sale: price, warranty, training
- `price`: the price by rules that are data, under the legal ceiling
- `allotment`: which device goes to which structure
- `offers`: warranty and training, as data
- `places`: structures and refurbishers on the map
- `book`: all that is data, in one place
- `till`: the three commands that make one sale
"""
