"""Service: the artifact that is served now, its changes, and another one in its place without a request that fails."""

import gc
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from cobrarec import __version__
from cobrarec.artifact import catalog_version_of, load_artifact, manifest_of, open_live_catalog
from cobrarec.artifact_manifest import CHANGES, read_manifest, verify_files
from cobrarec.errors import CobraRecError, DataError
from cobrarec.retrieval.live_catalog import ChangeResult, LiveCatalog
from cobrarec.retrieval.recommender import Recommender
from cobrarec.semantic_ids.typical_words import TypicalWords
from cobrarec.serving.asked_lists import AskedLists, answer_lists
from cobrarec.serving.batcher import Batcher, BusyError
from cobrarec.serving.browse import IdBrowser
from cobrarec.serving.errand import Errand
from cobrarec.serving.schemas import MAX_BEAMS, MAX_HISTORIES, MAX_HISTORY, MAX_K, MAX_PUT
from cobrarec.serving.server_settings import ServerSettings

logger = logging.getLogger("cobrarec.serving")


WRITER = "cobrarec serve"
"""What a second writer is told."""
ONLY_READS = "this server only reads; change items with `cobrarec items` and reload"


MAX_CHANGES = 8
"""Changes and reloads that may be under way or wait for each other; each holds one of the threads that answer other requests."""


class ReadOnlyError(CobraRecError):
    """Items cannot be changed here; the message says why."""


@dataclass(frozen=True)
class ReloadResult:
    """What lies in the folder, whether that is something else than was served before, and whether it is served already."""

    artifact: str
    catalog_version: int
    is_new: bool
    is_served: bool = True


@dataclass(frozen=True)
class Served:
    """An artifact as it is served: what its manifest says, its recommender or its writer, and why there is no writer."""

    manifest: dict[str, Any]
    loaded: Recommender | LiveCatalog
    read_only_reason: str | None = None

    @property
    def live(self) -> LiveCatalog | None:
        """The writer, where there is one."""
        return self.loaded if isinstance(self.loaded, LiveCatalog) else None

    @property
    def recommender(self) -> Recommender:
        """Of the present version."""
        return self.loaded.recommender if isinstance(self.loaded, LiveCatalog) else self.loaded


class NotInCatalogError(DataError):
    """There is no such item or prefix."""


class Service:
    """What all requests share. `recommender` is replaced as a whole, so that a request sees one version from its beginning to its end.

    is_leaving: the process is about to end, so that connections should not be kept.
    """

    def __init__(
        self,
        folder: Path | str,
        settings: ServerSettings,
        device: str = "cpu",
        loaded: Served | None = None,
        ask_reload: Callable[[], None] | None = None,
    ) -> None:
        """Load the artifact, for writing where that is possible and wanted, and warm it up.

        Args:
            folder: the folder `artifact` of a run.
            settings: the limits, and whether items may be changed.
            device: where to compute.
            loaded: the artifact as another process has loaded it; then it is only read.
            ask_reload: asks that process for a reload, in place of one here.

        Raises:
            ArtifactError: the artifact is refused, or another process holds it for writing.
        """
        self.folder, self.settings, self._device, self._ask_reload = Path(folder), settings, device, ask_reload
        self.is_leaving = False
        self._replacing, self._naming = threading.Lock(), threading.Lock()
        self._changes = threading.BoundedSemaphore(MAX_CHANGES)
        self._browser: tuple[str, IdBrowser] | None = None
        if loaded is None:
            self._served = self._open()
            settle()
        else:
            _warm_up(loaded.recommender)
            self._served = loaded
        self.batcher: Batcher[AskedLists | Errand, Any] = Batcher(self._answer, settings.max_waiting, settings.max_batch)

    @property
    def recommender(self) -> Recommender:
        """The recommender of the present artifact and version."""
        return self._served.recommender

    @property
    def read_only_reason(self) -> str | None:
        """Why items cannot be changed here; None where they can."""
        return self._served.read_only_reason

    def id_browser(self, recommender: Recommender) -> IdBrowser:
        """The tree of semantic IDs in words, made at the first call for an artifact; raises ConfigError without a network."""
        with self._naming:
            if self._browser is None or self._browser[0] != recommender.info.artifact:
                words = TypicalWords.of(recommender.catalog.texts, recommender.semantic_ids)
                self._browser = recommender.info.artifact, IdBrowser(words)
            return self._browser[1]

    def put(self, table: Any) -> ChangeResult:
        """`LiveCatalog.put`; raises ReadOnlyError where items cannot be changed, and BusyError where too many changes wait."""
        with self._turn_of_change():
            return self._writable().put(table)

    def remove(self, item_id: Any) -> ChangeResult:
        """`LiveCatalog.remove` of one item.

        Raises:
            ReadOnlyError: items cannot be changed.
            NotInCatalogError: there is no such item, or it is removed already.
            BusyError: too many changes wait.
        """
        with self._turn_of_change():
            live, catalog = self._writable(), self.recommender.catalog
            if item_id not in catalog:
                raise NotInCatalogError(f"The catalog lacks the item {item_id!r}.")
            if not catalog.is_listed[catalog.find(item_id)]:
                raise NotInCatalogError(f"The item {item_id!r} is removed already.")
            return live.remove([item_id])

    def reload(self, waits: bool = False) -> ReloadResult:
        """Serve what lies in the folder now.

        Everything is checked and loaded beside the old one, which goes on until then, and stays where the new one is refused. Where
        another process has loaded the artifact it is asked to, once what lies there is known to be whole.

        Args:
            waits: wait for a turn, however many changes wait.

        Raises:
            ArtifactError: the new one is refused.
            BusyError: too many changes wait.
        """
        with self._replacing if waits else self._turn_of_change():
            old, before = self._served, self.recommender.info
            artifact = str(read_manifest(self.folder)["sha256"])
            own = old.live if artifact == before.artifact else None
            if own is not None or self._ask_reload is not None:
                verify_files(self.folder)  # otherwise `_open` does, before anything is given up
                version = catalog_version_of(self.folder)  # its log is whole, too
            if own is not None and own.is_of(self.folder / CHANGES):
                return ReloadResult(artifact, before.catalog_version, False)  # this process writes the changes itself: there are no others
            if self._ask_reload is not None:
                self._ask_reload()
                is_new = (artifact, version) != (before.artifact, before.catalog_version)
                return ReloadResult(artifact, version, is_new, is_served=not is_new)
            if own is not None:
                own.close()  # it writes elsewhere, or cannot write any more; its lists stay until the new ones are there
            self._served = self._open()
            if old.live is not None:
                old.live.close()
            del old, own
            settle()
            now = self.recommender.info
            logger.info("reloaded: artifact %s, catalog version %d", now.artifact[:12], now.catalog_version)
            is_new = (now.artifact, now.catalog_version) != (before.artifact, before.catalog_version)
            return ReloadResult(now.artifact, now.catalog_version, is_new)

    def close(self) -> None:
        """Answer what waits, then let go of the artifact."""
        self.batcher.close()
        with self._replacing:
            if self._served.live is not None:
                self._served.live.close()

    def card(self) -> dict[str, Any]:
        """What is served, in words and numbers."""
        served = self._served
        recommender, manifest = served.recommender, served.manifest
        id_type: Literal["integer", "string"] = "integer" if recommender.catalog.id_type is int else "string"
        limits = {name: getattr(self.settings, name) for name in ("max_body_bytes", "max_waiting", "time_limit")}
        limits |= {"max_histories": MAX_HISTORIES, "max_history": MAX_HISTORY, "max_k": MAX_K, "max_beams": MAX_BEAMS, "max_put": MAX_PUT}
        return {
            "version": __version__,
            "artifact": recommender.info.artifact,
            "catalog_version": recommender.info.catalog_version,
            "ranker": manifest["ranker"],
            "split": recommender.info.split,
            "num_items": int(recommender.catalog.is_listed.sum()),
            "columns": recommender.catalog.table.schema.names,
            "id_type": id_type,
            "score": recommender.score_formula,
            "model": manifest["model"],
            "settings": recommender.config.model_dump(mode="json"),
            "limits": limits,
            "read_only": served.read_only_reason,
        }

    def _open(self) -> Served:
        """What lies in the folder, ready to answer."""
        ranker, reason = read_manifest(self.folder)["ranker"], None
        if self.settings.read_only:
            reason = ONLY_READS
        elif ranker != "cobra":
            reason = f"the artifact is of the ranker {ranker}, which takes no new items"
        elif not _is_writable(self.folder):
            reason = "the artifact lies where this server cannot write"
        if reason is not None:
            served = load_to_read(self.folder, self._device, reason)
            _warm_up(served.recommender)
            return served
        live = open_live_catalog(self.folder, WRITER, self._device)
        try:
            manifest = manifest_of(self.folder, live.recommender.info.artifact)
            live.warm_up()
            _warm_up(live.recommender)
        except BaseException:
            live.close()
            raise
        return Served(manifest, live)

    @contextmanager
    def _turn_of_change(self) -> Iterator[None]:
        """One change or reload at a time; raises BusyError where too many wait."""
        if not self._changes.acquire(blocking=False):
            raise BusyError("Too many changes of items wait; ask again in a second, or put more items at once.")
        try:
            with self._replacing:
                yield
        finally:
            self._changes.release()

    def _writable(self) -> LiveCatalog:
        served = self._served
        if served.live is None:
            raise ReadOnlyError(f"Items cannot be changed here: {served.read_only_reason}.")
        return served.live

    def _answer(self, asked: Sequence[AskedLists | Errand]) -> Sequence[Any]:
        """Answers to requests of one key: the bodies of lists, or what an errand brings, of which there is one at a time."""
        recommender = self.recommender
        if isinstance(asked[0], Errand):
            return [asked[0].run(recommender)]
        return answer_lists(recommender, [one for one in asked if isinstance(one, AskedLists)])


def load_to_read(folder: Path, device: str, reason: str = ONLY_READS) -> Served:
    """The artifact in `folder` without a writer, for `reason`; raises as `load_artifact` does."""
    recommender = load_artifact(folder, device)
    return Served(manifest_of(folder, recommender.info.artifact), recommender, reason)


def _is_writable(folder: Path) -> bool:
    probe = folder / ".writable"
    try:
        probe.touch()
        probe.unlink()
    except OSError:
        return False
    return True


def _warm_up(recommender: Recommender) -> None:
    """The first list of a process takes longer; nobody should wait for it."""
    item = recommender.catalog.item_ids[0]
    recommender.recommend([[item], []], 10)


def settle() -> None:
    """Let the collector look no more through what stays, which takes longer than many a request and writes to memory that workers share."""
    gc.unfreeze()  # what was there before may be garbage now
    gc.collect()
    gc.freeze()
