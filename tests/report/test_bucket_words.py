from pathlib import Path

from run_folders import bucket, write_run

from cobrarec.report.bucket_words import NUM_OPEN, bucket_words
from cobrarec.report.run_files import RunFiles, read_run


def test_a_bucket_has_its_codes_their_words_its_size_and_titles(tmp_path: Path) -> None:
    html = bucket_words(read_run(write_run(tmp_path / "run", "Steam engine")))
    assert "ID <code>0</code> <bdi>Trains, Steam engine</bdi> › <code>5</code>" in html
    assert '<data value="1090">1,090</data> items' in html
    assert "<bdi>Steam engine</bdi> · <bdi>Red engine</bdi>" in html


def test_the_largest_are_open_and_the_others_folded(tmp_path: Path) -> None:
    html = bucket_words(read_run(write_run(tmp_path / "run")))
    shown, folded = html.split("<details>")
    assert shown.count("<li>") == NUM_OPEN
    assert folded.count("<li>") == 15 - NUM_OPEN
    assert "3 more" in folded


def test_few_buckets_fold_nothing_and_none_make_no_section(tmp_path: Path) -> None:
    run = read_run(write_run(tmp_path / "run"))
    few = RunFiles(**{**vars(run), "buckets": [bucket() | {"titles": None}]})
    assert "<details>" not in bucket_words(few)
    assert bucket_words(RunFiles(**{**vars(run), "buckets": []})) == ""
