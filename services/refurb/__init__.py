"""Refurb: devices at a refurbisher, from arrival to ready or scrapped; erasure evidence and its verdicts; answers to partners.

Owns devices, arrivals, declared capacity, the evidence store and the receipts. Hears `routing.consignments.<refurbisher>`,
`distribution.stock.<region>`, `distribution.sales.<region>` and what partners say on `refurb.inbound.<refurbisher>` (contract:
`shared/events/partner.py`). Tells `refurb.devices.<refurbisher>` and `refurb.receipts.<refurbisher>`.
"""
