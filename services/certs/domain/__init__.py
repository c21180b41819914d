"""The rules of certs, and what a certificate is made of; no I/O but the template and fonts that are part of the code.

custody       what is known of a consignment and of each of its devices, and when all of them are settled
trail         what everybody said of a donation, a consignment, a device: step by step, and who held it
passage       what of a device's steps cannot be true together
ledger        the audit of a donation: its breaches and its sums
account       what the audit found, kept with since when
certificate   its number, how it comes to be (drafted, logged, issued), and the signed states of the public log
statement     what a certificate says: exactly what the evidence says
merkle        the public log's tree (RFC 6962)
note          signed notes, checkpoints and proofs of the public log (C2SP)
document      the PDF before it is signed
signature     the PDF signed, with its proof in it
verification  what can be said of a file that someone holds
"""
