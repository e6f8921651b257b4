"""RunFolder: the folder of one run, what lies where in it, and whose run it is.

    RUN/ prepared/ semantic_ids/ checkpoints/ chosen/ artifact/ config.yaml metrics.json log.jsonl examples.json report.html

`chosen/` is the artifact as validation chose it, where the one to be served has learned from the validation interactions too. A step's
folder is written beside and renamed, so that a folder that exists is a step that is done. `prepared/run.json` holds what the run was
made from (hashes of both tables and of the configuration, seed): another run in the same folder is refused.
"""

import errno
import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import yaml

from cobrarec.artifact_manifest import replace_folder, write_text
from cobrarec.config import Config, dump_config, load_config
from cobrarec.errors import MachineError, RunError

OWN_FOLDERS = ("prepared", "semantic_ids", "checkpoints", "chosen", "artifact")
OWN_NAMES = (*OWN_FOLDERS, "config.yaml", "metrics.json", "log.jsonl", "examples.json", "report.html")
_MACHINE_ERRNOS = {errno.ENOSPC, errno.EDQUOT, errno.ENOMEM, errno.EIO, errno.EMFILE, errno.ENFILE}
_PLACE_ERRNOS = {
    getattr(errno, name) for name in ("EACCES", "EPERM", "EROFS", "ENOENT", "ENOTDIR", "EISDIR", "EEXIST", "ELOOP", "ENAMETOOLONG")
}
_ROWS_AT_ONCE = 10_000
_ADDED_LATER = {"retrieval": {"new_item_level": 0.0}}
"""Settings younger than runs and records that shall still be found, with the value that changes nothing; any other value is told."""
_OUT_OF_MEMORY = "The memory is spent; use a machine with more of it, or a smaller `training.targets_per_batch`."


class RunFolder:
    """Paths of a run and the rules of who may write there."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.prepared = self.path / "prepared"
        self.semantic_ids = self.path / "semantic_ids"
        self.checkpoints = self.path / "checkpoints"
        self.chosen = self.path / "chosen"
        self.artifact = self.path / "artifact"
        self.config_file = self.path / "config.yaml"
        self.metrics_file = self.path / "metrics.json"
        self.log_file = self.path / "log.jsonl"
        self.examples_file = self.path / "examples.json"
        self.report_file = self.path / "report.html"

    @property
    def identity(self) -> dict[str, Any] | None:
        """What the run was made from; None where nothing was prepared."""
        return read_json(self.prepared / "run.json")

    @property
    def seed(self) -> int:
        """Seed of the run, fixed when it was prepared."""
        self.require("prepared", "cobrarec prepare")
        return int((self.identity or {})["seed"])

    def config(self) -> Config:
        """The resolved configuration; raises RunError where the folder holds no run."""
        if not self.config_file.exists():
            raise RunError(f"{self.path} holds no run (no config.yaml); start one with `cobrarec fit` or `cobrarec prepare`.")
        return load_config(self.config_file)

    def require(self, step: str, command: str) -> None:
        """Raise RunError unless the folder of `step` exists; `command` is what makes it."""
        if not self.path.is_dir():
            raise RunError(f"There is no run folder {self.path}. Give the folder that `cobrarec fit --out` wrote.")
        if (self.path / "manifest.json").exists():
            raise RunError(f"{self.path} is an artifact; give the folder of its run, the one above.")
        if not (self.path / step).exists():
            raise RunError(f"{self.path} has no {step}/ yet; run `{command}` first.")

    def refuse_other_run(self, identity: dict[str, Any], resume: bool) -> None:
        """Raise RunError where the folder holds another run, or the same one while `resume` is off; writes nothing."""
        there = self.identity
        if there is None:
            self.refuse_foreign()
            return
        changed = [key for key in identity if there.get(key) != identity[key]]
        if changed:
            what = ", ".join(changed)
            raise RunError(f"{self.path} holds another run (other {what}); give another folder, or what that run was made from.")
        if not resume:
            raise RunError(
                f"{self.path} already holds this very run; go on with it by --resume (`RunOptions(resume=True)`), or give another folder."
            )

    def refuse_foreign(self) -> None:
        """Raise RunError where something bears the name of a run's file but no run was prepared."""
        if self.path.exists() and not self.path.is_dir():
            raise RunError(f"{self.path} is a file; give a folder for the run.")
        held = [name for name in OWN_NAMES if (self.path / name).exists()]
        if held and self.identity is None:
            raise RunError(f"{self.path} already holds {held[0]} that is not of a run which can go on; give another folder.")

    def write_config(self, config: Config) -> None:
        """Write the resolved configuration, every field present."""
        write_text(self.config_file, dump_config(config))

    def clear(self) -> None:
        """Remove all that a run writes, and the folder if nothing else is in it."""
        for name in OWN_NAMES:
            path = self.path / name
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        with suppress(OSError):
            self.path.rmdir()

    @contextmanager
    def writing(self, step: Path) -> Iterator[Path]:
        """A folder to fill that takes the place of `step` when all of it is written."""
        self.path.mkdir(parents=True, exist_ok=True)
        with replace_folder(step) as partial:
            yield partial


def settings_read(config: Config) -> str:
    """The settings that the ranker of a configuration reads, as YAML: a network all, another one few (`Config.ranker`)."""
    values = config.model_dump(mode="json", **_read(config.ranker))
    for section, settings in _ADDED_LATER.items():
        values[section] = {name: value for name, value in values[section].items() if name not in settings or value != settings[name]}
    return yaml.safe_dump(values, sort_keys=False)


def settings_unread(config: Config) -> list[str]:
    """The settings that differ from the defaults and mean nothing to the ranker, such as `model.dim` to one without a network."""
    read = set(_paths(config.model_dump(**_read(config.ranker))))
    given = _paths(config.model_dump(exclude_defaults=True, exclude={"name"}))
    return [".".join(path) for path in given if path not in read]


def _read(ranker: str) -> dict[str, Any]:
    """What a ranker reads, as pydantic's `include` or `exclude`; the configuration's name is for people."""
    if ranker == "cobra":
        return {"exclude": {"name"}}
    sections = {"counts": {"counts"}, "content": {"content", "text"}, "popularity": set()}[ranker]
    whole = dict.fromkeys(("ranker", "data", *sorted(sections)), True)
    return {"include": {**whole, "training": {"max_valid_users"}, "retrieval": {"include_history", "fill"}}}


def _paths(values: Mapping[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _paths(value, (*above, name))
        else:
            yield (*above, name)


def run_identity(config: Config, seed: int, items: pa.Table, interactions: pa.Table) -> dict[str, Any]:
    """What decides the result of a run, hashed; `allow_collapse` lets it go on but changes nothing in it."""
    semantic_ids = config.semantic_ids.model_copy(update={"allow_collapse": False})
    settings = settings_read(config.model_copy(update={"semantic_ids": semantic_ids}))
    return {
        "configuration": hashlib.sha256(settings.encode()).hexdigest(),
        "items": table_hash(items),
        "interactions": table_hash(interactions),
        "seed": seed,
    }


def table_hash(table: pa.Table) -> str:
    """sha256 of the table's column names, kinds of types and values, however it was chunked, stored or handed over."""
    digest = hashlib.sha256()
    for name, column in zip(table.schema.names, table.columns, strict=True):
        digest.update(f"{name}\0{len(column)}\0".encode())
        if column.null_count or pa.types.is_nested(column.type):  # what lies under a null is left to chance
            for start in range(0, len(column), _ROWS_AT_ONCE):
                digest.update(json.dumps(column.slice(start, _ROWS_AT_ONCE).to_pylist(), default=str).encode())
        else:
            _hash_plain(column, digest)
    return digest.hexdigest()


def _hash_plain(column: pa.ChunkedArray, digest: "hashlib._Hash") -> None:
    is_text = pa.types.is_string(column.type) or pa.types.is_string_view(column.type)
    schema = pa.schema([("", pa.large_string() if is_text else column.type)])
    with pa.ipc.new_stream(_HashSink(digest), schema) as writer:
        for batch in pa.table([column], names=[""]).cast(schema).combine_chunks().to_batches():
            writer.write_batch(batch)


def read_json(path: Path) -> dict[str, Any] | None:
    """The JSON object in `path`; None where there is no such file. Raises RunError for one that cannot be read."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValueError:
        raise RunError(f"{path} is damaged (no JSON); give another folder or remove this one.") from None


@contextmanager
def machine_limits() -> Iterator[None]:
    """Turn a full disk and spent memory into MachineError, and a place that cannot be written into RunError."""
    try:
        yield
    except MemoryError as error:
        raise MachineError(_OUT_OF_MEMORY) from error
    except OSError as error:
        if error.errno in _MACHINE_ERRNOS:
            place = error.filename or "no file named"
            raise MachineError(f"The machine refused: {error.strerror} ({place}); free space or memory, then go on.") from error
        if error.errno is None and str(error).endswith(" written"):  # numpy: "N requested and M written"
            raise MachineError("The machine refused to write an array: the disk is full; free space, then go on.") from error
        # arrow puts the file's name into the words
        told = f"{error.filename}: {error.strerror}" if error.filename is not None else str(error) if "local file" in str(error) else None
        if told is not None and error.errno in _PLACE_ERRNOS:
            raise RunError(f"{told}; give a place that can be read and written.") from error
        raise
    except RuntimeError as error:
        if any(words in str(error) for words in ("not enough memory", "can't allocate memory", "out of memory")):
            raise MachineError(_OUT_OF_MEMORY) from error
        raise


class _HashSink:
    """A file to write to that keeps nothing but a digest."""

    def __init__(self, digest: "hashlib._Hash") -> None:
        self._digest = digest
        self.closed = False

    def write(self, data: Any) -> int:
        """Take in the bytes."""
        self._digest.update(data)
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        """Nothing more will come."""
        self.closed = True
