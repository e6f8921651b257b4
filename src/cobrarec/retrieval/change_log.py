"""ChangeLog: an append-only file of records that are on disk before they are answered, and one writer at a time.

    changes/ log         frames: magic, length, sha256 over (the digest before, the payload), payload; the first names the artifact
             head.json   bytes, records and digest of all that was acknowledged
             lock        held by the writer, whose name it bears

What lies within the head must be whole: anything else is damage, and is refused. What lies beyond it was never acknowledged: whole frames
count, a torn tail is cut by the next writer. A reader needs no lock.
"""

import errno
import fcntl
import hashlib
import json
import os
import socket
import struct
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cobrarec.errors import ArtifactError, MachineError, UnsureError

FORMAT = 1
MAGIC = b"cobr"
HEADER = struct.Struct("<4sQ32s")
_FULL = (errno.ENOSPC, errno.EDQUOT)
_NOT_WRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS)


@dataclass(frozen=True)
class Position:
    """A place in the log: bytes and records before it, and the digest of all of them."""

    num_bytes: int = 0
    num_records: int = 0
    digest: bytes = b"\0" * 32


@dataclass(frozen=True)
class LogContents:
    """What a log holds: the payloads after the first record, and where the whole frames end."""

    payloads: tuple[bytes, ...]
    end: Position


def read_log(folder: Path, artifact: str) -> LogContents:
    """All records of the log in `folder`; none where there is no log.

    Args:
        folder: the folder `changes` of an artifact.
        artifact: sha256 of the artifact's manifest, which the log must bear.

    Raises:
        ArtifactError: the log is damaged, cut, or of another artifact.
    """
    head = _read_head(folder)
    try:
        data = (folder / "log").read_bytes()
    except FileNotFoundError:
        data = b""
    if len(data) < head.num_bytes:
        raise _damaged(folder, f"the log is cut: {len(data):,} bytes where {head.num_bytes:,} were acknowledged")
    frames, end = _frames(data)
    if end.num_bytes < head.num_bytes:
        raise _damaged(folder, f"the log is altered behind byte {end.num_bytes:,}")
    if head not in (Position(), *(place for _, place in frames)):
        raise _damaged(folder, "the log and its head do not belong together")
    payloads = tuple(payload for payload, _ in frames)
    if payloads:
        _check_first(folder, payloads[0], artifact)
    return LogContents(payloads[1:], end)


class LogWriter:
    """The one writer of a log. Open it with `LogWriter.open`, and `close` it.

    It holds the folder itself, not its name: where another artifact takes that name, nothing is written into the other one.
    """

    def __init__(self, folder: Path, lock: int, file: int, end: Position) -> None:
        self.folder, self.end = folder, end
        self._lock, self._file, self._is_broken, self.is_closed = lock, file, False, False
        self._place = os.open(folder, os.O_RDONLY)

    @classmethod
    def open(cls, folder: Path, artifact: str, name: str) -> tuple["LogWriter", LogContents]:
        """Take the lock, read the log, cut a torn tail, and be ready to append.

        Args:
            folder: the folder `changes` of an artifact, which is made where it is missing.
            artifact: sha256 of the artifact's manifest.
            name: what this writer is called, for others who are refused.

        Raises:
            ArtifactError: another writer holds the log, the folder cannot be written, or the log is damaged.
            MachineError: the disk is full.
        """
        try:
            folder.mkdir(exist_ok=True)
            lock = _take_lock(folder, name)
        except OSError as error:
            raise _cannot_write(folder, error) from error
        writer = None
        try:
            contents = read_log(folder, artifact)
            file = os.open(folder / "log", os.O_RDWR | os.O_CREAT, 0o644)
            writer = cls(folder, lock, file, contents.end)
            os.ftruncate(file, contents.end.num_bytes)
            os.fsync(writer._place)  # the name of the log is on disk before what is in it
            if not contents.end.num_records:
                writer.append(json.dumps({"format": FORMAT, "artifact": artifact}).encode())
            else:
                writer._replace_head(writer.end)
                os.fsync(writer._place)
            _sync_folder(folder.parent)
        except BaseException as error:
            if writer is None:
                os.close(lock)
            else:
                writer.close()
            if isinstance(error, OSError):
                raise _cannot_write(folder, error) from error
            raise
        return writer, contents

    def append(self, payload: bytes) -> None:
        """Write one record; when this returns it is on disk and within the head. On an error the log is as it was before.

        Raises:
            MachineError: the disk is full, or an earlier failure left unknown what is on it.
            UnsureError: it is unknown whether the record will be there when the log is opened again.
            ArtifactError: the folder cannot be written.
        """
        if self.is_closed:
            raise MachineError(f"{self.folder} is closed; nothing was changed. Open the artifact again.")
        if self._is_broken:
            raise MachineError(f"{self.folder}: an earlier write failed; open the artifact again before changing more items.")
        digest = _chained(self.end.digest, payload)
        frame = HEADER.pack(MAGIC, len(payload), digest) + payload
        end = Position(self.end.num_bytes + len(frame), self.end.num_records + 1, digest)
        try:
            _write_at(self._file, frame, self.end.num_bytes)
            os.fsync(self._file)
            self._replace_head(end)
        except OSError as error:
            self._is_broken = not self._cut_back()
            raise _cannot_write(self.folder, error) from error
        try:
            os.fsync(self._place)
        except OSError as error:
            self._is_broken = True
            told = f"{self.folder} could not be written ({error.strerror})"
            raise UnsureError(f"{told}: whether the change was made shows when the artifact is opened again.") from error
        self.end = end

    def close(self) -> None:
        """Let go of the lock; nothing can be appended any more."""
        if not self.is_closed:
            self.is_closed = True
            for held in (self._file, self._lock, self._place):
                os.close(held)

    def is_of(self, folder: Path) -> bool:
        """Whether this is the open and working writer of what lies in `folder` now."""
        if self.is_closed or self._is_broken or not folder.exists():
            return False
        own, there = os.fstat(self._place), folder.stat()
        return (own.st_dev, own.st_ino) == (there.st_dev, there.st_ino)

    def _cut_back(self) -> bool:
        try:
            os.ftruncate(self._file, self.end.num_bytes)
            os.fsync(self._file)
        except OSError:
            return False
        return True

    def _replace_head(self, end: Position) -> None:
        """Another head in the place of the present one, where its name is not yet surely on disk."""
        head = {"bytes": end.num_bytes, "records": end.num_records, "sha256": end.digest.hex()}
        partial = os.open(".head.partial", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644, dir_fd=self._place)
        try:
            _write_at(partial, json.dumps(head).encode(), 0)
            os.fsync(partial)
        finally:
            os.close(partial)
        os.replace(".head.partial", "head.json", src_dir_fd=self._place, dst_dir_fd=self._place)


def holder_of(folder: Path) -> str | None:
    """The name of who holds the log in `folder` for writing; None where nobody does."""
    try:
        lock = os.open(folder / "lock", os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return _holder(lock)
    finally:
        os.close(lock)
    return None


def _take_lock(folder: Path, name: str) -> int:
    """An open, locked file that bears this writer's name."""
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        held_by = _holder(lock)
        os.close(lock)
        if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
            raise
        raise ArtifactError(f"{folder.parent} is being changed by {held_by}; change its items there, or stop it first.") from None
    since = datetime.now(UTC).isoformat(timespec="seconds")
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{name} (process {os.getpid()} on {socket.gethostname()}, since {since})".encode(), 0)
    return lock


def _holder(lock: int) -> str:
    return os.pread(lock, 500, 0).decode("utf-8", "replace") or "another process"


def _read_head(folder: Path) -> Position:
    try:
        head = json.loads((folder / "head.json").read_text(encoding="utf-8"))
        return Position(int(head["bytes"]), int(head["records"]), bytes.fromhex(head["sha256"]))
    except FileNotFoundError:
        return Position()
    except (OSError, ValueError, KeyError, TypeError):
        raise _damaged(folder, "head.json cannot be read") from None


def _frames(data: bytes) -> tuple[list[tuple[bytes, Position]], Position]:
    """Payloads of the whole frames at the beginning of `data`, each with where it ends, and where the last one does."""
    frames: list[tuple[bytes, Position]] = []
    end = Position()
    while end.num_bytes + HEADER.size <= len(data):
        magic, length, digest = HEADER.unpack_from(data, end.num_bytes)
        start = end.num_bytes + HEADER.size
        payload = data[start : start + length]
        if magic != MAGIC or len(payload) < length or _chained(end.digest, payload) != digest:
            break
        end = Position(start + length, end.num_records + 1, digest)
        frames.append((payload, end))
    return frames, end


def _check_first(folder: Path, payload: bytes, artifact: str) -> None:
    try:
        first = dict(json.loads(payload))
    except (ValueError, TypeError):
        raise _damaged(folder, "its first record cannot be read") from None
    if first.get("format") != FORMAT:
        raise _damaged(folder, f"the log has format {first.get('format')}, this cobrarec reads {FORMAT}")
    if first.get("artifact") != artifact:
        raise ArtifactError(f"The changes in {folder} were made to another artifact than {folder.parent}; move that folder away.")


def _chained(before: bytes, payload: bytes) -> bytes:
    return hashlib.sha256(before + payload).digest()


def _write_at(file: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(file, view, offset)
        view, offset = view[written:], offset + written


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _damaged(folder: Path, what: str) -> ArtifactError:
    return ArtifactError(
        f"The changes in {folder} are damaged: {what}. Copy the artifact again, or move that folder away to do without them."
    )


def _cannot_write(folder: Path, error: OSError) -> ArtifactError | MachineError:
    if error.errno in _FULL:
        return MachineError(
            f"The disk is full: the change was not written, what was there before is whole ({folder}). Free space, then go on."
        )
    if error.errno in _NOT_WRITABLE:
        return ArtifactError(
            f"{folder.parent} cannot be written ({error.strerror}), so its items stay as they are; give a copy that can be."
        )
    return MachineError(f"{folder} could not be written: {error.strerror}; the change was not made.")
