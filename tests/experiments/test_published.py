from cobrarec.experiments.published import METRICS, PUBLISHED


def test_the_published_figures_are_known_for_the_three_amazon_sets_and_plausible():
    for paper in PUBLISHED:
        assert set(paper.by_dataset) == {"beauty", "sports", "toys"}
        for dataset in paper.by_dataset:
            values = paper.metrics(dataset)
            assert list(values) in ([*METRICS], [*METRICS[2:]])
            assert values["ndcg@10"] < values["recall@10"] < 0.1
            if "recall@5" in values:
                assert values["ndcg@5"] < values["recall@5"] < values["recall@10"]
                assert values["ndcg@5"] < values["ndcg@10"]
        assert paper.metrics("steam100k") is None
