"""Service: the artifact that is served now, its changes, and another one in its place without a request that fails."""

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from cobrarec import __version__
from cobrarec.artifact import catalog_version_of, load_artifact, open_live_catalog
from cobrarec.artifact_manifest import CHANGES, read_manifest, verify_files
from cobrarec.errors import CobraRecError, DataError
from cobrarec.retrieval.live_catalog import LiveCatalog, Outcome
from cobrarec.retrieval.recommender import Recommender
from cobrarec.semantic_ids.typical_words import TypicalWords
from cobrarec.serving.asked_lists import AskedLists, answer_lists
from cobrarec.serving.batcher import Batcher
from cobrarec.serving.browse import IdBrowser
from cobrarec.serving.errand import Errand
from cobrarec.serving.schemas import MAX_BEAMS, MAX_HISTORIES, MAX_HISTORY, MAX_K
from cobrarec.serving.server_settings import ServerSettings

logger = logging.getLogger("cobrarec.serving")


WRITER = "cobrarec serve"
"""What a second writer is told."""
ONLY_READS = "this server only reads; change items with `cobrarec items` and reload"


class ReadOnly(CobraRecError):  # noqa: N818 - it is no fault of the request
    """Items cannot be changed here; the message says why."""


@dataclass(frozen=True)
class Reloaded:
    """What is served after a reload, and whether that is something else than before."""

    artifact: str
    catalog_version: int
    is_new: bool


class NotInCatalogError(DataError):
    """There is no such item or prefix."""


class Service:
    """What all requests share. `recommender` is replaced as a whole, so that a request sees one version from its beginning to its end."""

    def __init__(
        self,
        folder: Path | str,
        settings: ServerSettings,
        device: str = "cpu",
        loaded: Recommender | None = None,
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
        self._replacing = threading.Lock()
        self._browser: tuple[str, IdBrowser] | None = None
        self._live: LiveCatalog | None = None
        if loaded is None:
            self._recommender, self._live, self.read_only_reason = self._open()
        else:
            _warm_up(loaded)
            self._manifest = read_manifest(self.folder)
            self._recommender, self.read_only_reason = loaded, ONLY_READS
        self.batcher: Batcher[AskedLists | Errand, Any] = Batcher(self._answer, settings.max_waiting, settings.max_batch)

    @property
    def recommender(self) -> Recommender:
        """The recommender of the present artifact and version."""
        return self._recommender if self._live is None else self._live.recommender

    def id_browser(self) -> IdBrowser:
        """The tree of semantic IDs in words, made at the first call for an artifact; raises ConfigError without a network."""
        recommender = self.recommender
        kept = self._browser
        if kept is None or kept[0] != recommender.info.artifact:
            kept = recommender.info.artifact, IdBrowser(TypicalWords.of(recommender.catalog.texts, recommender.semantic_ids))
            self._browser = kept
        return kept[1]

    def put(self, table: Any) -> Outcome:
        """`LiveCatalog.put`; raises ReadOnly where items cannot be changed."""
        with self._replacing:
            return self._writable().put(table)

    def remove(self, item_id: Any) -> Outcome:
        """`LiveCatalog.remove` of one item.

        Raises:
            ReadOnly: items cannot be changed.
            NotInCatalogError: there is no such item, or it is removed already.
        """
        with self._replacing:
            live, catalog = self._writable(), self.recommender.catalog
            if item_id not in catalog or not catalog.is_listed[catalog.find(item_id)]:
                raise NotInCatalogError(f"The catalog lacks the item {item_id!r}.")
            return live.remove([item_id])

    def reload(self) -> Reloaded:
        """Serve what lies in the folder now.

        Everything is checked and loaded beside the old one, which goes on until then, and stays where the new one is refused. Where
        another process has loaded the artifact it is asked to, once what lies there is known to be whole.

        Raises:
            ArtifactError: the new one is refused.
        """
        with self._replacing:
            before = self.recommender.info
            artifact = str(read_manifest(self.folder)["sha256"])
            own = self._live if artifact == before.artifact else None
            if own is not None or self._ask_reload is not None:
                verify_files(self.folder)  # otherwise `_open` does, before anything is given up
            if own is not None and own.is_of(self.folder / CHANGES):
                return Reloaded(artifact, before.catalog_version, False)  # this process writes the changes itself: there are no others
            if self._ask_reload is not None:
                version = catalog_version_of(self.folder)
                self._ask_reload()
                return Reloaded(artifact, version, (artifact, version) != (before.artifact, before.catalog_version))
            if own is not None:
                own.close()  # it writes elsewhere, or cannot write any more; its lists stay until the new ones are there
            recommender, live, reason = self._open()
            old, self._recommender, self._live, self.read_only_reason = self._live, recommender, live, reason
            if old is not None:
                old.close()
            now = self.recommender.info
            logger.info("reloaded: artifact %s, catalog version %d", now.artifact[:12], now.catalog_version)
            is_new = (now.artifact, now.catalog_version) != (before.artifact, before.catalog_version)
            return Reloaded(now.artifact, now.catalog_version, is_new)

    def close(self) -> None:
        """Answer what waits, then let go of the artifact."""
        self.batcher.close()
        with self._replacing:
            if self._live is not None:
                self._live.close()

    def card(self) -> dict[str, Any]:
        """What is served, in words and numbers."""
        recommender = self.recommender
        id_type: Literal["integer", "string"] = "integer" if recommender.catalog.id_type is int else "string"
        limits = {name: getattr(self.settings, name) for name in ("max_body_bytes", "max_waiting", "time_limit")}
        limits |= {"max_histories": MAX_HISTORIES, "max_history": MAX_HISTORY, "max_k": MAX_K, "max_beams": MAX_BEAMS}
        return {
            "version": __version__,
            "artifact": recommender.info.artifact,
            "catalog_version": recommender.info.catalog_version,
            "ranker": self._manifest["ranker"],
            "split": recommender.info.split,
            "num_items": int(recommender.catalog.is_listed.sum()),
            "columns": recommender.catalog.table.schema.names,
            "id_type": id_type,
            "score": recommender.score_formula,
            "model": self._manifest["model"],
            "settings": recommender.config.model_dump(mode="json"),
            "limits": limits,
            "read_only": self.read_only_reason,
        }

    def _open(self) -> tuple[Recommender, LiveCatalog | None, str | None]:
        """The recommender, its writer, and why there is none."""
        manifest = read_manifest(self.folder)
        ranker = manifest["ranker"]
        reason = None
        if self.settings.read_only:
            reason = ONLY_READS
        elif ranker != "cobra":
            reason = f"the artifact is of the ranker {ranker}, which takes no new items"
        elif not _is_writable(self.folder):
            reason = "the artifact lies where this server cannot write"
        if reason is not None:
            recommender = load_artifact(self.folder, self._device)
            _warm_up(recommender)
            self._manifest = manifest
            return recommender, None, reason
        live = open_live_catalog(self.folder, WRITER, self._device)
        live.warm_up()
        _warm_up(live.recommender)
        self._manifest = manifest
        return live.recommender, live, None

    def _writable(self) -> LiveCatalog:
        live = self._live
        if live is None:
            raise ReadOnly(f"Items cannot be changed here: {self.read_only_reason}.")
        return live

    def _answer(self, asked: Sequence[AskedLists | Errand]) -> Sequence[Any]:
        """Answers to requests of one key: the bodies of lists, or what an errand brings, of which there is one at a time."""
        recommender = self.recommender
        if isinstance(asked[0], Errand):
            return [asked[0].run(recommender)]
        return answer_lists(recommender, [one for one in asked if isinstance(one, AskedLists)])


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
