import json

import numpy as np

from cobrarec.experiments.cold_tables import render_cold
from cobrarec.experiments.records import Ranks, Results
from cobrarec.experiments.result_tables import NOTHING


def cold_record(model, new, seed=0, protocol="added", **changes):
    pair = {"recall@10": new, "ndcg@10": new / 2}
    metrics = {"new": pair, "known": pair, "all": pair} if protocol == "added" else {"known": pair}
    users = {"new": 1000, "known": 2000, "all": 3000} if protocol == "added" else {"known": 2000}
    base = {"dataset": "beauty", "model": model, "config": {}, "config_hash": model, "seed": seed, "protocol": protocol}
    facts = {"places_of_new": 0.05, "new_items": 500, "put_seconds": 2.0}
    return {**base, "metrics": metrics, "users": {**users, "left_out": 7}, **facts, **changes}


def rendered(tmp_path, records):
    (tmp_path / "cold.json").write_text(json.dumps(records))
    return render_cold(Results(tmp_path, "cold"))


def test_a_row_holds_both_groups_before_and_after(tmp_path):
    page = rendered(tmp_path, [cold_record("cobra", 0.04), cold_record("cobra", 0.08, protocol="not-added"), cold_record("cascade", 0.02)])
    assert "**beauty**, seed 0: target new 1,000 users, known 2,000; 7 left out" in page
    assert "| `cobra` | .0400 / .0200 | .0800 / .0400 | .0400 / .0200 | .0400 / .0200 | .0500 |" in page
    assert "| `cascade` | .0200 / .0100 | – |" in page
    assert "Adding the 500 items in one table took 2.0 s, 4.0 ms an item." in page


def test_the_levels_of_the_network_have_a_table_of_their_own(tmp_path):
    raised = cold_record("cobra", 0.08, config={"retrieval": {"new_item_level": 1.5}}, config_hash="raised", places_of_new=0.2)
    page = rendered(tmp_path, [cold_record("cobra", 0.04), raised])
    assert "| 0 | .0400 / .0200 | .0400 / .0200 | .0400 / .0200 |  | .0500 |\n| 1.5 | .0800 / .0400 |" in page
    assert page.count("| `cobra` |") == 1
    assert "`retrieval.new_item_level`" not in rendered(tmp_path, [cold_record("cobra", 0.04)])


def test_a_level_is_compared_with_level_zero_on_the_same_users(tmp_path):
    results = Results(tmp_path, "cold")
    raised = cold_record("cobra", 0.08, config={"retrieval": {"new_item_level": 1.5}}, config_hash="raised")
    for record, found in ((cold_record("cobra", 0.04), [1, 0, 0, 0]), (raised, [1, 1, 0, 0])):
        results.add(record, Ranks(np.array(found * 50, np.uint8), "users", "targets", record["config_hash"]), record["config_hash"])
    page = render_cold(results)
    assert "| 1.5 | .0800 / .0400 | .0800 / .0400 | .0800 / .0400 | **+.2500** [+" in page
    assert page.count("[+") == 1


def test_seeds_are_averaged(tmp_path):
    page = rendered(tmp_path, [cold_record("cobra", 0.04), cold_record("cobra", 0.08, seed=1)])
    assert "seeds 0, 1" in page
    assert "| `cobra` | .0600 / .0300 |" in page


def test_without_records_the_page_says_so(tmp_path):
    assert render_cold(Results(tmp_path, "cold")) == NOTHING


def test_lists_without_stand_ins_have_a_line_beside_the_levels(tmp_path):
    page = rendered(tmp_path, [cold_record("cobra", 0.04), cold_record("no-stand-ins", 0.02)])
    assert "| 0, without stand-ins | .0200 / .0100 |" in page
