"""intake: donors and their donations, from the six questions to the tracking page.

Owns  donations (offer, triage, withdrawal), the contacts and places of pick-up (in the vault), drafts of the form, tracking links.
Hears `routing.consignments.*`, `refurb.devices.*`, `certs.certificates.*`, `distribution.sales.*`: what became of each donation.
Tells `intake.donations.<region>`.
People: donors, and the charity's staff who answer them.
"""
