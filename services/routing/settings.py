"""What is particular to routing in its environment."""

from pathlib import Path

from pydantic import Field

from shared.settings import Settings

DATA = Path(__file__).with_name("data")


class RoutingSettings(Settings):
    """The views run in one replica: two would share the partitions, and each page would show a part."""

    service: str = "routing"
    routing_rules: Path = DATA / "rules-2026-01.yaml"
    """The rules by which refurbishers are weighed."""
    routing_views: bool = True
    """Whether this process counts load and lateness."""
    routing_views_partitions: int = Field(3, ge=1)
    """Partitions of the view's changelog (`views` in deploy/topics.yaml): 3 on one machine, 12 elsewhere."""
