"""certs: what a donor keeps for years. Owns the certificates, the public log they are entered in, and the custody they rest on.

Hears routing's consignments and refurb's devices, of each refurbisher, and for the audit of custody intake's donations and distribution's
stock and sales, of each region; tells certificates and the log's signed state. A certificate says what the evidence says, never more;
anyone who holds the file can check it without us (`python -m services.certs verify FILE --trust issuer.pem`).
"""
