"""Kafka as the kernel uses it, and the only place that imports aiokafka: `wire` (messages in and out), `admin` (topics, users, rights)."""
