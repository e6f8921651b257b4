import json
from pathlib import Path

import numpy as np
import pytest
from run_folders import epoch_record, write_run

from cobrarec.config import dump_config, parse_config
from cobrarec.errors import RunError
from cobrarec.report.run_files import NETWORK_PARTS, PARTS, read_run


def test_a_folder_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="There is no run folder"):
        read_run(tmp_path / "nowhere")


def test_a_folder_without_any_file_of_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="holds none of the files of a run"):
        read_run(tmp_path)


def test_a_file_of_another_form_is_refused(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run")
    (folder / "metrics.json").write_text("[]", encoding="utf-8")
    with pytest.raises(RunError, match="holds a list, expected a dict"):
        read_run(folder)


def test_an_epoch_repeated_by_a_resumed_run_counts_once_and_the_later_one_stays(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run")
    lines = [epoch_record(2, 0.1), epoch_record(1, 0.1), epoch_record(2, 0.3), {"event": "start"}, 7]
    (folder / "log.jsonl").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    epochs = read_run(folder).epochs
    assert [(record["epoch"], record["valid"]["ndcg@10"]) for record in epochs] == [(1, 0.1), (2, 0.3)]


def test_half_a_line_at_the_end_of_the_log_is_passed_over(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run")
    with (folder / "log.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"event": "epo')
    assert len(read_run(folder).epochs) == 3


def test_nothing_is_missing_in_a_whole_run(tmp_path: Path) -> None:
    assert read_run(write_run(tmp_path / "run")).missing == ()


def test_bucket_sizes_come_from_the_codes(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run")
    assert read_run(folder).bucket_sizes == [1, 2, 90]
    np.save(folder / "semantic_ids/codes.npy", np.zeros((7, 0), dtype=np.int32))
    assert read_run(folder).bucket_sizes == [7]


@pytest.mark.parametrize("content", [b"", b"no array", b"\x93NUMPY\x01\x00"])
def test_damaged_codes_are_refused(tmp_path: Path, content: bytes) -> None:
    folder = write_run(tmp_path / "run")
    (folder / "semantic_ids/codes.npy").write_bytes(content)
    with pytest.raises(RunError, match=r"codes.npy is damaged"):
        read_run(folder)


def test_what_a_run_without_a_network_never_has_is_not_missing(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run")
    (folder / "config.yaml").write_text("ranker: counts\ndata:\n  split: last-two\n", encoding="utf-8")
    for part in NETWORK_PARTS:
        (folder / PARTS[part]).unlink()
    run = read_run(folder)
    assert (run.model, run.missing) == ("counts", ())
    (folder / "config.yaml").write_text("name: mine.2\nranker: counts\n", encoding="utf-8")
    assert read_run(folder).model == "mine.2"
    for word in ("2", "null", "true"):  # which YAML puts between quotes
        (folder / "config.yaml").write_text(dump_config(parse_config({"name": word})), encoding="utf-8")
        assert read_run(folder).model == word
    (folder / "config.yaml").write_text("name: null\nranker: counts\n", encoding="utf-8")
    assert read_run(folder).model == "counts"
    (folder / PARTS["metrics"]).unlink()
    assert read_run(folder).missing == (PARTS["metrics"],)
