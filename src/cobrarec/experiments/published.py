"""What papers report: recall@5, NDCG@5, recall@10, NDCG@10 on test, last item, full ranking, Amazon 2014, 5-core."""

from dataclasses import dataclass

METRICS = ("recall@5", "ndcg@5", "recall@10", "ndcg@10")


@dataclass(frozen=True)
class Published:
    """A model of a paper: its name, where it is from, and its four metrics (`METRICS`) by data set, None where it has not all."""

    name: str
    source: str
    by_dataset: dict[str, tuple[float | None, float | None, float, float]]

    def metrics(self, dataset: str) -> dict[str, float] | None:
        """The reported metrics on a data set, recall@10 and NDCG@10 among them; None where the paper has none."""
        values = self.by_dataset.get(dataset)
        return None if values is None else {name: value for name, value in zip(METRICS, values, strict=True) if value is not None}


PUBLISHED = (
    Published(
        "TIGER",
        "arXiv 2305.05065",
        {
            "beauty": (0.0454, 0.0321, 0.0648, 0.0384),
            "sports": (0.0264, 0.0181, 0.0400, 0.0225),
            "toys": (0.0521, 0.0371, 0.0712, 0.0432),
        },
    ),
    Published(
        "COBRA",
        "arXiv 2503.02453",
        {
            "beauty": (0.0537, 0.0395, 0.0725, 0.0456),
            "sports": (0.0305, 0.0215, 0.0434, 0.0257),
            "toys": (0.0619, 0.0462, 0.0781, 0.0515),
        },
    ),
    Published(  # table of the authors' code, github.com/blondered/transformer_benchmark
        "SASRec with sampled softmax",
        "arXiv 2508.06450",
        {
            "beauty": (None, None, 0.0921, 0.0531),
            "sports": (None, None, 0.0569, 0.0314),
            "toys": (None, None, 0.0970, 0.0580),
        },
    ),
    Published(
        "eSASRec",
        "arXiv 2508.06450",
        {
            "beauty": (None, None, 0.0928, 0.0523),
            "sports": (None, None, 0.0560, 0.0323),
            "toys": (None, None, 0.0939, 0.0538),
        },
    ),
)
