"""What is counted. Labels are cells, topics' families and fixed words only: never an id."""

from prometheus_client import Counter, Gauge, Histogram

MESSAGES = Counter("maillon_messages_total", "Messages read and dealt with", ["cell"])
BATCH = Histogram("maillon_batch_messages", "Messages a batch", buckets=(1, 10, 50, 100, 500, 1000, 2000))
REPEATS = Counter("maillon_repeats_total", "Repeated messages, dropped", ["cell"])
PARKED = Counter("maillon_parked_total", "Messages set aside, tries included", ["cell", "why"])
PARKED_NOW = Gauge("maillon_parked_now", "Messages set aside now", ["why"])
PARKED_AGE = Gauge("maillon_parked_oldest_seconds", "Age of the oldest message set aside")
CLASHES = Counter("maillon_clashes_total", "Transactions that another writer forced to decide again")
POOL_BUSY = Gauge("maillon_pool_busy", "Connections of the pool in use, of 8")
SENT = Counter("maillon_sent_total", "Events acknowledged by the broker")
UNSENT = Gauge("maillon_outbox_events", "Events not yet sent")
UNSENT_AGE = Gauge("maillon_outbox_oldest_seconds", "Age of the oldest event not yet sent")
RESTING = Gauge("maillon_resting_topics", "Topics that failed and rest")
LEADS = Gauge("maillon_relay_cells", "Cells whose events this process sends; over a database, each cell once")
JOB_DONE = Gauge("maillon_job_done_at_seconds", "When a job last came to its end, in Unix time", ["job"])
STOPPED = Gauge("maillon_cell_stopped", "1 while a cell is stopped for people to look at", ["cell"])
LAG = Gauge("maillon_lag", "Messages not yet read", ["cell"])
REQUESTS = Histogram(
    "maillon_http_seconds", "Time of HTTP requests", ["method", "status"], buckets=(0.005, 0.02, 0.05, 0.1, 0.5, 2, 10)
)
