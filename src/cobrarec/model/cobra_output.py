"""CobraOutput: what the model predicts in training. Losses read it; the model knows no loss."""

from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor

from cobrarec.model.id_tables import IdTables


@dataclass(frozen=True)
class CobraOutput:
    """Predictions for the targets of a batch, in row-major order, and what the losses compare them with."""

    target_rows: Int[Tensor, " targets"]
    target_index: Int[Tensor, " targets"]
    """Place of each target in `encoded_rows`."""
    sparse_logits: tuple[Float[Tensor, "targets codes"], ...]
    """Logits of all codes, one array a level, given the target's true codes before it."""
    dense_query: Float[Tensor, "targets dim"] | None
    """Unit-length prediction of the target's vector given its ID; None with `use_dense` off."""
    direct_query: Float[Tensor, "targets dim"] | None
    """Unit-length prediction before any code; None where there is no direct query."""
    encoded_rows: Int[Tensor, " num_encoded"]
    encoded: Float[Tensor, "num_encoded dim"]
    """Unit-length vectors of `encoded_rows`: the negatives (and, in sums over whole buckets or catalogs, the targets too)."""
    encoded_by_bucket: Float[Tensor, "num_items dim"] | None
    """`encoded` in the order of `tables.bucket_rows`; None where not the whole catalog is encoded."""
    target_vectors: Float[Tensor, "targets dim"]
    """Unit-length vectors of the targets."""
    dense_scale: Float[Tensor, ""]
    """1 / temperature."""
    direct_scale: Float[Tensor, ""]
    dense_bias: Float[Tensor, " num_encoded"]
    direct_bias: Float[Tensor, " num_encoded"]
    direct_log_sum: Float[Tensor, " targets"] | None
    """Log-sum-exp of the direct logits over the catalog, where the evidence for codes needed it anyway."""
    tables: IdTables
