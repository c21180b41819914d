"""Kafka as the kernel uses it, and the only place that imports aiokafka.

`wire`: envelopes and sending. `reader`: reading. `ends`: how far topics go. `admin`: topics, users, rights.
"""
