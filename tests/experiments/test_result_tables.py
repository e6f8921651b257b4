import numpy as np
import pytest

from cobrarec.experiments.bootstrap import Difference
from cobrarec.experiments.definition import load_definition
from cobrarec.experiments.records import Ranks, Results
from cobrarec.experiments.result_tables import NOTHING, difference, figure, render_overview, render_tables, spread
from small_experiment import hash_in_table2, record


@pytest.fixture
def table2():
    return load_definition("table2")[1]


@pytest.fixture
def results(tmp_path):
    found = Results(tmp_path, "table2")
    users = np.full(40, 1, dtype=np.uint8)
    for one in (record("cobra", 0.05, direct_share=0.5), record("cobra", 0.06, seed=1, direct_share=0.6, seconds=1300.0)):
        found.add(one, Ranks(users, "users", "targets", hash_in_table2("cobra")), "settings")
    found.add(record("counts", 0.04), Ranks(2 * users, "users", "targets", hash_in_table2("counts")), "settings")
    found.add(record("counts", 0.02, dataset="steam100k"), Ranks(users, "users", "targets", hash_in_table2("counts")), "settings")
    found.add(record("cobra", 0.03, protocol="unmasked"), Ranks(users, "users", "targets", hash_in_table2("cobra")), "settings")
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
    assert "| eSASRec as published (arXiv 2508.06450) | – | – | .0928 | .0523 | – | – | – | – | – |" in tables[0]
    assert "published" not in tables[1] + tables[2]
    assert "published" not in render_tables(results, table2, 0.1)
    assert "published" not in render_tables(results, table2.model_copy(update={"beside_papers": False}))
    for table in tables:
        for part in table.split("\n\n"):
            assert len({row.count("|") for row in part.splitlines() if row.startswith("|")}) <= 1


def test_differences_stand_under_their_table_each_pair_once(results, table2):
    results.add(
        record("sasrec", 0.05), Ranks(np.tile([1, 3], 20).astype(np.uint8), "users", "targets", hash_in_table2("sasrec")), "settings"
    )
    text = render_tables(results, table2.model_copy(update={"compared": ("sasrec", "cobra", "tiger")}))
    assert text.split("\n\n")[2].splitlines() == [
        "| above | | `sasrec` | `cobra` |",
        "|---|---|---|---|",
        "| `cobra` | R@10 | +.0000 [+.0000, +.0000] |  |",
        "|  | N@10 | **−.2500** [−.3250, −.1750] |  |",
        "| `counts` | R@10 | +.0000 [+.0000, +.0000] | +.0000 [+.0000, +.0000] |",
        "|  | N@10 | **+.1191** [+.0441, +.1941] | **+.3691** [+.3691, +.3691] |",
    ]


@pytest.mark.parametrize(("network", "is_said"), [("a", False), ("b", True), (None, False)])
def test_a_variant_that_was_measured_on_another_training_is_said_to_be(tmp_path, table2, network, is_said):
    results, ranks = Results(tmp_path, "table2"), np.ones(40, np.uint8)
    for one in (
        record("cobra-memory", 0.1, networks={"cobra-memory": "a"}),
        record("cobra", 0.1, networks={"cobra-memory": network}),
        record("sasrec", 0.1, networks={"sasrec": "c"}),
        record("ensemble-with-cobra", 0.1, networks={"sasrec": "c", "cobra-memory": network}),
        record("counts", 0.1),
    ):
        results.add(one, Ranks(ranks, "users", "targets", one["config_hash"]), "settings")
    lines = {line.split("`")[1]: line for line in render_tables(results, table2).splitlines() if "R@10 | +" in line}
    assert ("| +.0000 [+.0000, +.0000] (other training) |" in lines["cobra"]) is is_said
    assert ("| +.0000 [+.0000, +.0000] (other training) |" in lines["ensemble-with-cobra"]) is is_said
    assert "training" not in lines["sasrec"] + lines["counts"]


def test_lists_that_are_short_are_said_to_be(results, table2):
    assert "Mean length" not in render_tables(results, table2)
    short = record("content", 0.01, mean_list_length=9.5)
    results.add(short, Ranks(np.ones(40, np.uint8), "users", "targets", hash_in_table2("content")), "settings")
    assert "\n\nMean length of the first 10 where it is less: `content` 9.50.\n\n" in render_tables(results, table2)


def test_the_overview_has_a_column_per_data_set_and_the_best_in_bold(results, table2):
    results.add(
        record("content", 0.01, dataset="steam100k"),
        Ranks(np.ones(40, np.uint8), "users", "targets", hash_in_table2("content")),
        "settings",
    )
    assert render_overview(results, table2).splitlines() == [
        "| test, recall@10 / NDCG@10 | beauty | steam100k |",
        "|---|---|---|",
        "| `cobra` | **.1100** / **.0550** | – |",
        "| `counts` | .0800 / .0400 | **.0400** / **.0200** |",
        "| `content` | – | .0200 / .0100 |",
        "| TIGER as published | .0648 / .0384 | – |",
        "| COBRA as published | .0725 / .0456 | – |",
        "| SASRec with sampled softmax as published | .0921 / .0531 | – |",
        "| eSASRec as published | .0928 / .0523 | – |",
    ]
    assert "published" not in render_overview(results, table2.model_copy(update={"beside_papers": False}))


def test_without_records_it_says_so(tmp_path, table2):
    assert render_tables(Results(tmp_path, "table2"), table2) == NOTHING
    assert render_overview(Results(tmp_path, "table2"), table2) == NOTHING


def test_a_difference_is_bold_where_its_interval_does_not_hold_0():
    assert difference(Difference(-0.02, -0.03, -0.01)) == "**−.0200** [−.0300, −.0100]"
    assert difference(Difference(-0.001, -0.03, 0.02)) == "−.0010 [−.0300, +.0200]"


@pytest.mark.parametrize(("value", "shown"), [(0.0725, ".0725"), (0.0, ".0000"), (1.0, "1.0000"), (10.5, "10.5000")])
def test_figures_are_written_as_in_the_documents(value, shown):
    assert figure(value) == shown


def test_nothing_measured_is_a_dash():
    assert spread([]) == "–"
    assert spread([0.5]) == ".5000"
