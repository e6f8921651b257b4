"""Settings that contradict each other though each is in range: refused before any work, and again by the parts that they concern."""

from cobrarec.config import Config, LossConfig, ModelConfig
from cobrarec.errors import ConfigError

BASELINES = ("popularity", "counts", "content")
"""What metrics call those that stand beside the run's own model."""


def check_config(config: Config, num_items: int | None = None) -> None:
    """Refuse what cannot be built; without `num_items` the rules about the catalog's size wait.

    Raises:
        ConfigError: names the settings and the way out.
    """
    if config.name in BASELINES and config.name != config.ranker:
        raise ConfigError(f"`name` is {config.name}, which the metrics call a baseline; give another one.")
    if config.ranker != "cobra":
        return  # what is not built cannot contradict itself
    check_model(config.model, config.semantic_ids.num_levels, num_items)
    check_negatives(config.model, config.loss, num_items)


def can_scan_catalog(model: ModelConfig, num_items: int | None) -> bool:
    """Whether every item's vector is affordable in every step; of an unknown catalog it may be."""
    return model.item.kind != "text-encoder" and (num_items is None or num_items <= model.exact_catalog_limit)


def check_model(model: ModelConfig, num_levels: int, num_items: int | None = None) -> None:
    """The part of `check_config` about the model; `num_levels` codes per item."""
    encoder = model.item.text_encoder
    if model.dim % model.decoder.num_heads:
        raise ConfigError(f"`model.dim` is {model.dim}, expected a multiple of `model.decoder.num_heads` = {model.decoder.num_heads}.")
    if model.item.kind == "text-encoder" and model.dim % encoder.num_heads:
        raise ConfigError(f"`model.dim` is {model.dim}, expected a multiple of `model.item.text_encoder.num_heads` = {encoder.num_heads}.")
    if model.item.kind == "id" and not model.item.id_embedding:
        raise ConfigError("`model.item.kind` is `id` and `model.item.id_embedding` is false: nothing tells the items apart; turn one on.")
    if not model.use_dense and not num_levels:
        raise ConfigError("`model.use_dense` is false and `semantic_ids.num_levels` is 0: nothing is left to predict; turn one of them on.")
    if model.item_evidence in ("exact", "centroids") and not (model.direct_query and model.use_dense):
        raise ConfigError(
            f"`model.item_evidence` is `{model.item_evidence}`, which needs `model.direct_query` and `model.use_dense`; "
            "choose `auto` or `off`."
        )
    if model.item_evidence == "exact" and not can_scan_catalog(model, num_items):
        raise ConfigError(
            "`model.item_evidence` is `exact`, which needs `model.item.kind: projection` or `id` and at most "
            f"`model.exact_catalog_limit` = {model.exact_catalog_limit} items; choose `auto` or `centroids`."
        )


def check_negatives(model: ModelConfig, loss: LossConfig, num_items: int | None = None) -> None:
    """The part of `check_config` about the losses."""
    if can_scan_catalog(model, num_items):
        return
    for name, negatives in (("dense", loss.dense_negatives), ("direct", loss.direct_negatives)):
        if negatives == "catalog":
            raise ConfigError(
                f"`loss.{name}_negatives` is `catalog`, which needs `model.item.kind: projection` or `id` and at most "
                f"`model.exact_catalog_limit` = {model.exact_catalog_limit} items; choose `sampled` or `batch`."
            )
