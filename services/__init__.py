"""The five services of the chain. None knows another: they meet in `shared.events`, over Kafka."""
