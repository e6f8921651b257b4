import json
import os
from pathlib import Path

import pytest

from cobrarec.artifact_manifest import FORMAT_VERSION, read_manifest, replace_folder, verify_files, write_manifest, write_text
from cobrarec.errors import ArtifactError


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    folder = tmp_path / "artifact"
    (folder / "inner").mkdir(parents=True)
    (folder / "a.npy").write_bytes(b"abc")
    (folder / "inner" / "b.json").write_text("{}")
    write_manifest(folder, "last-two", "cobra", {"dim": 4})
    return folder


def test_the_manifest_names_version_split_and_every_file(artifact):
    manifest = verify_files(artifact)
    assert manifest["format_version"] == FORMAT_VERSION
    assert manifest["split"] == "last-two"
    assert set(manifest["files"]) == {"a.npy", "inner/b.json"}
    assert manifest["files"]["a.npy"] == {
        "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        "bytes": 3,
    }


def test_a_changed_file_is_named(artifact):
    (artifact / "a.npy").write_bytes(b"abd")
    with pytest.raises(ArtifactError, match=r"altered: a\.npy"):
        verify_files(artifact)


def test_a_cut_off_file_is_named(artifact):
    (artifact / "a.npy").write_bytes(b"ab")
    with pytest.raises(ArtifactError, match=r"a\.npy"):
        verify_files(artifact)


def test_a_missing_file_is_named(artifact):
    (artifact / "inner" / "b.json").unlink()
    with pytest.raises(ArtifactError, match=r"inner/b\.json is missing"):
        verify_files(artifact)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"format_version": 999, "files": {}}', f'{{"format_version": {FORMAT_VERSION}}}'])
def test_a_damaged_or_other_manifest_is_refused(artifact, text):
    (artifact / "manifest.json").write_text(text)
    with pytest.raises(ArtifactError):
        read_manifest(artifact)


def test_another_version_names_both(artifact):
    manifest = json.loads((artifact / "manifest.json").read_text())
    (artifact / "manifest.json").write_text(json.dumps({**manifest, "format_version": 7}))
    with pytest.raises(ArtifactError, match=f"version 7, this cobrarec reads {FORMAT_VERSION}"):
        read_manifest(artifact)


@pytest.mark.parametrize("name", ["nothing", "."])
def test_a_folder_without_manifest_is_no_artifact(tmp_path, name):
    with pytest.raises(ArtifactError):
        read_manifest(tmp_path / name)


def test_a_folder_is_replaced_when_all_of_it_is_written(tmp_path):
    target = tmp_path / "folder"
    for content in ("old", "new"):
        with replace_folder(target) as partial:
            (partial / "file").write_text(content)
            assert not target.exists() or (target / "file").read_text() == "old"
    assert (target / "file").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_a_failed_write_leaves_the_old_folder_whole(tmp_path):
    target = tmp_path / "folder"
    with replace_folder(target) as partial:
        (partial / "file").write_text("old")

    def fail() -> None:
        with replace_folder(target) as partial:
            (partial / "file").write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert (target / "file").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_a_crash_between_the_renames_is_mended_by_the_next_write(tmp_path):
    (tmp_path / ".folder.old").mkdir()
    (tmp_path / ".folder.old" / "file").write_text("old")
    with pytest.raises(ZeroDivisionError), replace_folder(tmp_path / "folder"):
        raise ZeroDivisionError
    assert (tmp_path / "folder" / "file").read_text() == "old"


def test_a_failed_write_leaves_the_old_file_whole(tmp_path):
    path = tmp_path / "file.txt"
    write_text(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_text(path, "half \ud800")
    assert path.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["file.txt"]


def test_an_interruption_between_the_two_renames_leaves_the_old_folder(artifact, monkeypatch):
    rename, calls = os.replace, []

    def interrupted(source, target):
        calls.append(target)
        if Path(source).name == ".artifact.partial":
            raise KeyboardInterrupt
        rename(source, target)

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt), replace_folder(artifact) as partial:
        (partial / "new").write_text("new")
    assert len(calls) == 3
    assert (artifact / "a.npy").read_bytes() == b"abc"
    assert [path.name for path in artifact.parent.iterdir()] == ["artifact"]


@pytest.mark.parametrize("change", [{"files": {}}, {"split": "none"}, {"model": {"dim": 5}}])
def test_a_manifest_that_says_something_else_than_was_written_is_refused(artifact, change):
    manifest = json.loads((artifact / "manifest.json").read_text())
    (artifact / "manifest.json").write_text(json.dumps({**manifest, **change}))
    with pytest.raises(ArtifactError, match="own sha256"):
        verify_files(artifact)


def test_a_file_that_the_manifest_does_not_know_is_named_and_a_hidden_one_passed_over(artifact):
    (artifact / ".DS_Store").write_text("left behind")
    verify_files(artifact)
    (artifact / "inner" / "more.npy").write_text("more")
    with pytest.raises(ArtifactError, match=r"inner/more\.npy is not in the manifest"):
        verify_files(artifact)


def test_all_files_can_be_read_by_whom_the_manifest_can(tmp_path):
    (tmp_path / "private.safetensors").write_text("weights")
    (tmp_path / "private.safetensors").chmod(0o600)
    write_manifest(tmp_path, "none", "cobra", {})
    assert (tmp_path / "private.safetensors").stat().st_mode == (tmp_path / "manifest.json").stat().st_mode
