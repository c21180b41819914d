"""Where certs keeps things: `tables` (all SQL), `files` (keys and signed documents), `press` (the processes that lay out and sign)."""
