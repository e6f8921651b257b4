import numpy as np
import pytest

from cobrarec.experiments.bootstrap import Difference
from cobrarec.experiments.definition import load_definition
from cobrarec.experiments.records import Ranks, Results
from cobrarec.experiments.result_tables import NOTHING, difference_line, figure, render_overview, render_tables, spread
from small_experiment import hash_in_table2, record


@pytest.fixture
def table2():
    return load_definition("table2")[1]


@pytest.fixture
def results(tmp_path):
    found = Results(tmp_path, "table2")
    users = np.full(40, 1, dtype=np.uint8)
    for one in (record("cobra", 0.05, direct_share=0.5), record("cobra", 0.06, seed=1, direct_share=0.6, seconds=1300.0)):
        found.add(one, Ranks(users, "users", "targets", hash_in_table2("cobra")))
    found.add(record("counts", 0.04), Ranks(2 * users, "users", "targets", hash_in_table2("counts")))
    found.add(record("counts", 0.02, dataset="steam100k"), Ranks(users, "users", "targets", hash_in_table2("counts")))
    found.add(record("cobra", 0.03, protocol="unmasked"), Ranks(users, "users", "targets", hash_in_table2("cobra")))
    return found


def test_a_row_holds_means_and_deviations_over_seeds(results, table2):
    text = render_tables(results, table2)
    spreads = ".0550 ± .0071 | .0550 ± .0071 | .1100 ± .0141 | .0550 ± .0071 | .50 ± .00 | .0550 ± .0071 | .55 ± .07 | 2 | 700"
    assert f"| `cobra` | {spreads} |" in text
    assert "| `counts` | .0400 | .0400 | .0800 | .0400 | .50 | .0400 | – | 1 | 100 |" in text


def test_there_is_a_table_per_data_set_and_protocol_with_published_figures_beside_the_masked(results, table2):
    tables = render_tables(results, table2).split("\n\n**")
    assert [table.strip("*").split("**")[0] for table in tables] == ["beauty, masked", "beauty, unmasked", "steam100k, masked"]
    assert "| COBRA as published (arXiv 2503.02453) | .0537 | .0395 | .0725 | .0456 | – | – | – | – | – |" in tables[0]
    assert "published" not in tables[1] + tables[2]
    assert "published" not in render_tables(results, table2, 0.1)
    assert "published" not in render_tables(results, table2.model_copy(update={"beside_papers": False}))
    for table in tables:
        rows = [line for line in table.splitlines() if line.startswith("|")]
        assert len({row.count("|") for row in rows}) == 1


def test_differences_stand_under_their_table(results, table2):
    first = render_tables(results, table2.model_copy(update={"compared": "cobra"})).split("\n\n**")[0]
    assert first.endswith("better by .3691 [.3691, .3691] in NDCG@10")


@pytest.mark.parametrize(("network", "is_said"), [("a", False), ("b", True), (None, False)])
def test_a_variant_that_was_measured_on_another_training_is_said_to_be(tmp_path, table2, network, is_said):
    results, ranks = Results(tmp_path, "table2"), np.ones(40, np.uint8)
    for one in (record("cobra-memory", 0.1, network="a"), record("cobra", 0.1, network=network), record("sasrec", 0.1, network="c")):
        results.add(one, Ranks(ranks, "users", "targets", one["config_hash"]))
    lines = {line.split("`")[3]: line for line in render_tables(results, table2).splitlines() if line.startswith("- ")}
    assert ("another training" in lines["cobra"]) is is_said
    assert "another training" not in lines["sasrec"]


def test_the_overview_has_a_column_per_data_set_and_the_best_in_bold(results, table2):
    results.add(record("content", 0.01, dataset="steam100k"), Ranks(np.ones(40, np.uint8), "users", "targets", hash_in_table2("content")))
    assert render_overview(results, table2).splitlines() == [
        "| test, recall@10 / NDCG@10 | beauty | steam100k |",
        "|---|---|---|",
        "| `cobra` | **.1100** / **.0550** | – |",
        "| `counts` | .0800 / .0400 | **.0400** / **.0200** |",
        "| `content` | – | .0200 / .0100 |",
        "| TIGER as published | .0648 / .0384 | – |",
        "| COBRA as published | .0725 / .0456 | – |",
    ]
    assert "published" not in render_overview(results, table2.model_copy(update={"beside_papers": False}))


def test_without_records_it_says_so(tmp_path, table2):
    assert render_tables(Results(tmp_path, "table2"), table2) == NOTHING
    assert render_overview(Results(tmp_path, "table2"), table2) == NOTHING


def test_a_difference_is_better_worse_or_not_told_apart():
    found = {"recall@10": Difference(0.02, 0.01, 0.03), "ndcg@10": Difference(-0.02, -0.03, -0.01)}
    line = difference_line("cobra", "counts", found)
    assert line == "- `cobra` beside `counts`: better by .0200 [.0100, .0300] in recall@10; worse by .0200 [.0100, .0300] in NDCG@10"
    open_line = difference_line("cobra", "counts", {"recall@10": Difference(-0.001, -0.03, 0.02)})
    assert open_line == "- `cobra` beside `counts`: not told apart in recall@10, −.0010 [−.0300, +.0200]"


@pytest.mark.parametrize(("value", "shown"), [(0.0725, ".0725"), (0.0, ".0000"), (1.0, "1.0000"), (10.5, "10.5000")])
def test_figures_are_written_as_in_the_documents(value, shown):
    assert figure(value) == shown


def test_nothing_measured_is_a_dash():
    assert spread([]) == "–"
    assert spread([0.5]) == ".5000"
