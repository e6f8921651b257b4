import errno
import json
import os
import resource
import stat

import pytest

from cobrarec.errors import ArtifactError, MachineError, UnsureError
from cobrarec.retrieval import change_log
from cobrarec.retrieval.change_log import LogWriter, holder_of, read_log

SHA = "ab" * 32


def written(folder, *payloads, sha=SHA):
    writer, _ = LogWriter.open(folder / "changes", sha, "a test")
    for payload in payloads:
        writer.append(payload)
    writer.close()
    return folder / "changes"


def test_what_was_appended_is_read_in_its_order(tmp_path):
    folder = written(tmp_path, b"one", b"", b"three" * 1000)
    assert read_log(folder, SHA).payloads == (b"one", b"", b"three" * 1000)
    writer, contents = LogWriter.open(folder, SHA, "another")
    assert contents.payloads[0] == b"one"
    writer.append(b"four")
    assert read_log(folder, SHA).payloads[-1] == b"four", "a reader needs no lock"
    writer.close()


def test_without_a_log_there_is_nothing(tmp_path):
    assert read_log(tmp_path / "changes", SHA).payloads == ()


def test_a_second_writer_is_refused_with_the_name_of_the_first(tmp_path):
    writer, _ = LogWriter.open(tmp_path / "changes", SHA, "cobrarec serve")
    assert holder_of(tmp_path / "changes").startswith(f"cobrarec serve (process {os.getpid()} on ")
    with pytest.raises(ArtifactError, match=r"is being changed by cobrarec serve \(process"):
        LogWriter.open(tmp_path / "changes", SHA, "cobrarec items")
    writer.close()
    assert holder_of(tmp_path / "changes") is None
    written(tmp_path, b"after")


@pytest.mark.parametrize("length", [1, 20, 47, 50])
def test_a_torn_tail_that_was_never_acknowledged_is_cut(tmp_path, length):
    folder = written(tmp_path, b"one")
    whole = (folder / "log").read_bytes()
    torn = change_log.HEADER.pack(change_log.MAGIC, 400, b"x" * 32) + b"y" * 300
    (folder / "log").write_bytes(whole + torn[:length])
    assert read_log(folder, SHA).payloads == (b"one",)
    written(tmp_path, b"two")
    assert read_log(folder, SHA).payloads == (b"one", b"two")


def test_a_whole_record_behind_the_head_counts(tmp_path):
    folder = written(tmp_path, b"one")
    head = (folder / "head.json").read_bytes()
    written(tmp_path, b"two")
    (folder / "head.json").write_bytes(head)  # as if the machine had gone down between the record and its head
    assert read_log(folder, SHA).payloads == (b"one", b"two")


def test_every_altered_byte_is_refused(tmp_path):
    folder = written(tmp_path, b"one", b"two")
    for name in ("log", "head.json"):
        whole = (folder / name).read_bytes()
        for place in range(len(whole)):
            (folder / name).write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
            with pytest.raises(ArtifactError, match="damaged"):
                read_log(folder, SHA)
        (folder / name).write_bytes(whole)
    assert read_log(folder, SHA).payloads == (b"one", b"two")


@pytest.mark.parametrize("left", [0, 30, 100])
def test_a_log_cut_below_what_was_acknowledged_is_refused(tmp_path, left):
    folder = written(tmp_path, b"one", b"two")
    (folder / "log").write_bytes((folder / "log").read_bytes()[:left])
    with pytest.raises(ArtifactError, match="the log is cut"):
        read_log(folder, SHA)
    with pytest.raises(ArtifactError, match="the log is cut"):
        LogWriter.open(folder, SHA, "a test")
    assert holder_of(folder) is None, "a refusal holds no lock"


def test_changes_of_another_artifact_are_refused(tmp_path):
    folder = written(tmp_path, b"one")
    with pytest.raises(ArtifactError, match="made to another artifact"):
        read_log(folder, "cd" * 32)


def test_a_log_of_a_later_format_is_refused(tmp_path):
    writer, _ = LogWriter.open(tmp_path / "changes", SHA, "a test")
    writer.close()
    (tmp_path / "changes" / "log").unlink()
    (tmp_path / "changes" / "head.json").unlink()
    payload = json.dumps({"format": 99, "artifact": SHA}).encode()
    frame = change_log.HEADER.pack(change_log.MAGIC, len(payload), change_log._chained(b"\0" * 32, payload)) + payload
    (tmp_path / "changes" / "log").write_bytes(frame)
    with pytest.raises(ArtifactError, match="format 99, this cobrarec reads 1"):
        read_log(tmp_path / "changes", SHA)


def test_a_full_disk_leaves_the_log_as_it_was(tmp_path, monkeypatch):
    writer, _ = LogWriter.open(tmp_path / "changes", SHA, "a test")
    writer.append(b"one")
    whole = (tmp_path / "changes" / "log").read_bytes()

    def full(file, data, offset):
        os.pwrite(file, data[:10], offset)
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(change_log, "_write_at", full)
        with pytest.raises(MachineError, match="The disk is full"):
            writer.append(b"two")
    assert (tmp_path / "changes" / "log").read_bytes() == whole
    writer.append(b"three")
    writer.close()
    assert read_log(tmp_path / "changes", SHA).payloads == (b"one", b"three")


def failing(code):
    """A call of the system that fails."""

    def fails(*_, **__):
        raise OSError(code, os.strerror(code))

    return fails


def test_after_a_failure_that_cannot_be_undone_nothing_more_is_written(tmp_path, monkeypatch):
    writer, _ = LogWriter.open(tmp_path / "changes", SHA, "a test")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", failing(errno.EIO))
        with pytest.raises(MachineError, match="the change was not made"):
            writer.append(b"one")
    with pytest.raises(MachineError, match="open the artifact again"):
        writer.append(b"two")
    writer.close()


def test_a_record_whose_head_cannot_be_written_is_cut_off_again(tmp_path, monkeypatch):
    writer, _ = LogWriter.open(tmp_path / "changes", SHA, "a test")

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", failing(errno.ENOSPC))
        with pytest.raises(MachineError, match="what was there before is whole"):
            writer.append(b"one")
    writer.append(b"two")
    writer.close()
    assert read_log(tmp_path / "changes", SHA).payloads == (b"two",)


def test_a_head_of_which_nobody_knows_whether_it_is_on_disk_ends_the_writing(tmp_path, monkeypatch):
    writer, _ = LogWriter.open(tmp_path / "changes", SHA, "a test")
    sync = os.fsync

    def fails_for_folders(file):
        if stat.S_ISDIR(os.fstat(file).st_mode):
            raise OSError(errno.EIO, "Input/output error")
        sync(file)

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", fails_for_folders)
        with pytest.raises(UnsureError, match="shows when the artifact is opened again"):
            writer.append(b"one")
    with pytest.raises(MachineError, match="open the artifact again"):
        writer.append(b"two")
    writer.close()
    again, contents = LogWriter.open(tmp_path / "changes", SHA, "a test")
    assert contents.payloads == (b"one",)
    again.append(b"two")
    again.close()


def in_a_process(what):
    """What a function returns that runs in a process of its own, so that its rights and limits are not ours."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:  # never comes back
        try:
            os.write(writing, what().encode()[:4000])
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as told:
        answer = told.read()
    os.waitpid(child, 0)
    return answer


def test_a_file_that_may_grow_no_more_leaves_the_log_as_it_was(tmp_path):
    folder = written(tmp_path, b"one")
    size = (folder / "log").stat().st_size

    def limited():
        writer, _ = LogWriter.open(folder, SHA, "a test")
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 50, size + 50))
        with pytest.raises(MachineError) as caught:
            writer.append(b"two" * 100)
        writer.append(b"")
        return str(caught.value)

    assert "the change was not made" in in_a_process(limited)
    assert read_log(folder, SHA).payloads == (b"one", b"")


def test_a_folder_of_others_is_refused_in_a_sentence(tmp_path):
    folder = written(tmp_path, b"one")
    for path in (folder, *folder.iterdir()):
        path.chmod(0o555 if path.is_dir() else 0o444)
    for parent in (tmp_path, *tmp_path.parents):
        if parent.stat().st_uid == os.getuid() and parent != parent.parent:
            parent.chmod(parent.stat().st_mode | 0o055)

    def as_another():
        if os.getuid() == 0:
            os.setuid(65534)
        assert read_log(folder, SHA).payloads == (b"one",), "it can be read"
        with pytest.raises(ArtifactError) as caught:
            LogWriter.open(folder, SHA, "a test")
        return str(caught.value)

    assert "cannot be written (Permission denied), so its items stay as they are" in in_a_process(as_another)


def test_a_writer_writes_into_the_folder_it_opened_even_when_another_takes_its_name(tmp_path):
    for name in ("other", "here"):
        (tmp_path / name).mkdir()
    written(tmp_path / "other", b"theirs")
    writer, _ = LogWriter.open(tmp_path / "here" / "changes", SHA, "a test")
    (tmp_path / "here").rename(tmp_path / "away")
    (tmp_path / "other").rename(tmp_path / "here")
    writer.append(b"ours")
    writer.close()
    assert read_log(tmp_path / "here" / "changes", SHA).payloads == (b"theirs",)
    assert read_log(tmp_path / "away" / "changes", SHA).payloads == (b"ours",)


def test_a_folder_that_cannot_be_written_is_refused_in_a_sentence(tmp_path, monkeypatch):
    def denied(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(type(tmp_path), "mkdir", denied)
    with pytest.raises(ArtifactError, match="cannot be written .Permission denied., so its items stay as they are"):
        LogWriter.open(tmp_path / "changes", SHA, "a test")


def test_a_closed_writer_writes_nothing_more_and_can_be_closed_again(tmp_path):
    writer, _ = LogWriter.open(tmp_path / "changes", SHA, "a test")
    assert writer.is_of(tmp_path / "changes")
    writer.close()
    writer.close()
    victim = os.open(tmp_path / "victim", os.O_RDWR | os.O_CREAT)
    with pytest.raises(MachineError, match="is closed; nothing was changed"):
        writer.append(b"one")
    os.close(victim)
    assert (tmp_path / "victim").stat().st_size == 0
    assert not writer.is_of(tmp_path / "changes")


def test_a_writer_knows_whether_another_folder_has_its_name(tmp_path):
    folder = written(tmp_path, b"one")
    writer, _ = LogWriter.open(folder, SHA, "a test")
    folder.rename(tmp_path / "away")
    assert not writer.is_of(folder)
    folder.mkdir()
    assert not writer.is_of(folder)
    assert writer.is_of(tmp_path / "away")
    writer.close()


def test_a_first_record_that_says_nothing_is_refused(tmp_path):
    for payload in (b"no json", b"[1]", b"3"):
        folder = tmp_path / payload.hex() / "changes"
        folder.mkdir(parents=True)
        (folder / "log").write_bytes(
            change_log.HEADER.pack(change_log.MAGIC, len(payload), change_log._chained(b"\0" * 32, payload)) + payload
        )
        with pytest.raises(ArtifactError, match="first record cannot be read"):
            read_log(folder, SHA)
