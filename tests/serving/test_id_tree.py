import numpy as np
import pytest
from small_page import deep_artifact, deep_run, words_of

from cobrarec.artifact import load_artifact, open_live_catalog
from cobrarec.semantic_ids.typical_words import TypicalWords
from cobrarec.serving.browse import IdBrowser
from cobrarec.serving.page.id_tree import tree_panel, typical_items

RECOMMENDER = load_artifact(deep_run() / "artifact")
BROWSER = IdBrowser(TypicalWords.of(RECOMMENDER.catalog.texts, RECOMMENDER.semantic_ids))
CODES = RECOMMENDER.engine.codes


def test_the_root_shows_every_first_code_with_its_size_and_words():
    panel = tree_panel(BROWSER, RECOMMENDER, [])
    for code, size in zip(*np.unique(CODES[:, 0], return_counts=True), strict=True):
        assert f"Open {code}: {', '.join(BROWSER.words.path([int(code)])[0])}, {size:,} items" in panel.replace("&#x27;", "'")
    assert "48 items" in words_of(panel)


def test_the_way_back_leads_through_every_prefix():
    codes = CODES[0].tolist()
    panel = tree_panel(BROWSER, RECOMMENDER, codes)
    assert 'data-value="[]"' in panel
    assert f'data-value="[{codes[0]}]"' in panel
    assert panel.count('aria-current="page"') == 1
    assert RECOMMENDER.catalog.titles[0] in panel


def test_an_id_that_nothing_bears_leads_to_the_nearest_that_something_does():
    panel = words_of(tree_panel(BROWSER, RECOMMENDER, [0, 99]))
    assert panel.startswith("No item has an ID that begins with 0-99 any more.")
    assert "Path in the tree" in tree_panel(BROWSER, RECOMMENDER, [0, 99])


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_typical_items_lie_below_the_prefix(depth):
    prefix = CODES[5, :depth].tolist()
    rows = typical_items(BROWSER.words, RECOMMENDER, prefix, 100)
    assert sorted(rows) == np.flatnonzero((CODES[:, :depth] == prefix).all(axis=1)).tolist()


def test_typical_items_follow_what_was_added_and_removed_since(tmp_path):
    live = open_live_catalog(deep_artifact(tmp_path), "test")
    first = live.recommender.catalog.item_ids[5]
    live.remove([first])
    text = RECOMMENDER.catalog.table.slice(5, 1).to_pylist()[0]
    (tmp_path / "new.jsonl").write_text(f'{{"item_id": "new", "title": "{text["title"]}"}}\n')
    live.put(tmp_path / "new.jsonl")
    now = live.recommender
    new = now.catalog.num_items - 1
    assert new in typical_items(BROWSER.words, now, now.engine.codes[new].tolist(), 100)
    assert 5 not in typical_items(BROWSER.words, now, CODES[5].tolist(), 100)
    live.close()
