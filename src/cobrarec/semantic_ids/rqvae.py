"""RQ-VAE: encoder, codebooks on residuals, decoder; its loss and its training loop.

Lee et al.: "Autoregressive Image Generation using Residual Quantization" (CVPR 2022); as in TIGER and COBRA the input is an item embedding.
With r_0 = encoder(x), c_l the code of the nearest e_l to r_l, r_{l+1} = r_l - e_l(c_l) and z = sum_l e_l(c_l):
    loss = |x - decoder(r_0 + sg(z - r_0))|^2 + sum_l (|sg(r_l) - e_l(c_l)|^2 + commitment_weight * |r_l - sg(e_l(c_l))|^2)
with sg = stop gradient, squares summed over dimensions of r and averaged over those of x (standardized, so the first term starts at 1).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from cobrarec.config import RqvaeConfig, SemanticIdsConfig
from cobrarec.progress import Progress
from cobrarec.semantic_ids.kmeans import kmeans
from cobrarec.semantic_ids.quantizer import effective_codebook_size
from cobrarec.semantic_ids.residual_kmeans import distinct_rows

START_ITERATIONS = 20
ROWS_PER_BLOCK = 8192
REPORT_EVERY = 50


@dataclass(frozen=True)
class RqvaeOutput:
    """What one pass gives: codes, residual before and codeword at each level, and the reconstruction."""

    codes: Int[Tensor, "batch levels"]
    residuals: Float[Tensor, "batch levels latent"]
    codewords: Float[Tensor, "batch levels latent"]
    reconstruction: Float[Tensor, "batch dim"]


class RqvaeNetwork(nn.Module):
    """Encoder, codebooks `[num_levels, codebook_size, latent_dim]`, decoder."""

    def __init__(self, config: RqvaeConfig, dim: int, num_levels: int, codebook_size: int) -> None:
        """Allocate; `start` or `load_state_dict` gives the values."""
        super().__init__()
        widths = (dim, *config.hidden_dims, config.latent_dim)
        self.encoder = _perceptron(widths)
        self.decoder = _perceptron(widths[::-1])
        self.codebooks = nn.Parameter(torch.zeros(num_levels, codebook_size, config.latent_dim))

    def start(self, generator: torch.Generator) -> None:
        """Draw the weights; nothing but `generator` decides."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight, generator=generator)
                nn.init.zeros_(module.bias)

    def forward(self, x: Float[Tensor, "batch dim"]) -> RqvaeOutput:
        """Encode, quantize level by level, decode with a straight-through gradient."""
        latent = self.encoder(x)
        residual, codes, residuals, codewords = latent, [], [], []
        for codebook in self.codebooks:
            code = nearest_code(residual, codebook)
            codeword = codebook[code]
            codes.append(code)
            residuals.append(residual)
            codewords.append(codeword)
            # the next residual carries its gradient to the encoder alone: codewords learn from their own level
            residual = residual - codeword.detach()
        quantized = torch.stack(codewords, 1)
        straight_through = latent + (quantized.sum(1) - latent).detach()
        return RqvaeOutput(torch.stack(codes, 1), torch.stack(residuals, 1), quantized, self.decoder(straight_through))


def rqvae_loss(output: RqvaeOutput, x: Float[Tensor, "batch dim"], commitment_weight: float) -> Float[Tensor, ""]:
    """The loss of the module's docstring, mean over the batch."""
    reconstruction = (output.reconstruction - x).square().mean(1)
    codebook = (output.residuals.detach() - output.codewords).square().sum(2)
    commitment = (output.residuals - output.codewords.detach()).square().sum(2)
    return (reconstruction + (codebook + commitment_weight * commitment).sum(1)).mean()


def nearest_code(x: Float[Tensor, "n latent"], codebook: Float[Tensor, "codes latent"]) -> Int[Tensor, " n"]:
    """The codeword of least squared distance; of equals the lowest."""
    return (codebook.square().sum(1) - 2 * x @ codebook.T).argmin(1)


class Rqvae:
    """The fitted quantizer. Inputs are centered and divided by one common deviation, which keeps distances in proportion."""

    def __init__(self, network: RqvaeNetwork, mean: npt.NDArray[np.float32], scale: float) -> None:
        """Take the fitted state."""
        self.network = network.eval()
        self.mean = mean
        self.scale = scale

    @classmethod
    def fit(
        cls, x: npt.NDArray[np.float32], config: SemanticIdsConfig, seed: int, progress: Progress
    ) -> tuple["Rqvae", npt.NDArray[np.int32]]:
        """Train on `x` `[num_items, dim]`; also returns the codes of these items, `[num_items, num_levels]`."""
        mean, scale = x.mean(axis=0), max(float(x.std(axis=0).mean()), 1e-6)
        network = RqvaeNetwork(config.rqvae, x.shape[1], config.num_levels, effective_codebook_size(config, len(x)))
        quantizer = cls(network, mean, scale)
        _train(network, quantizer._standardized(x), config.rqvae, seed, progress)
        network.eval()
        return quantizer, quantizer.encode(x)

    def encode(self, x: npt.NDArray[np.float32]) -> npt.NDArray[np.int32]:
        """Codes `[n, num_levels]` of any vectors `[n, dim]`."""
        with torch.no_grad():
            blocks = [self.network(block).codes for block in torch.split(self._standardized(x), ROWS_PER_BLOCK)]
        return torch.cat(blocks).numpy().astype(np.int32)

    def decode(self, codes: npt.NDArray[np.int32]) -> npt.NDArray[np.float32]:
        """The decoder's vectors `[n, dim]` for codes `[n, num_levels]`."""
        index = torch.from_numpy(codes.astype(np.int64))
        with torch.no_grad():
            quantized = torch.stack([book[index[:, level]] for level, book in enumerate(self.network.codebooks)]).sum(0)
            return self.network.decoder(quantized).numpy() * np.float32(self.scale) + self.mean

    def arrays(self) -> dict[str, npt.NDArray[np.float32]]:
        """The whole fitted state."""
        weights = {f"network.{name}": tensor.detach().numpy() for name, tensor in self.network.state_dict().items()}
        return {**weights, "mean": self.mean, "scale": np.full(1, self.scale, np.float32)}

    @classmethod
    def from_arrays(cls, arrays: dict[str, npt.NDArray[np.float32]], config: SemanticIdsConfig) -> "Rqvae":
        """Rebuild from what `arrays` gave."""
        codebooks = arrays["network.codebooks"]
        network = RqvaeNetwork(config.rqvae, len(arrays["mean"]), codebooks.shape[0], codebooks.shape[1])
        prefix = "network."
        network.load_state_dict({k.removeprefix(prefix): torch.from_numpy(v.copy()) for k, v in arrays.items() if k.startswith(prefix)})
        return cls(network, arrays["mean"], float(arrays["scale"][0]))

    def _standardized(self, x: npt.NDArray[np.float32]) -> Float[Tensor, "n dim"]:
        return torch.from_numpy(((x - self.mean) / np.float32(self.scale)).astype(np.float32))


def _train(network: RqvaeNetwork, x: Float[Tensor, "n dim"], config: RqvaeConfig, seed: int, progress: Progress) -> None:
    generator = torch.Generator().manual_seed(seed)
    network.start(generator)
    _start_codebooks(network, x, seed)
    optimizer = torch.optim.AdamW(network.parameters(), lr=config.learning_rate, weight_decay=1e-4)
    used = torch.zeros(network.codebooks.shape[:2], dtype=torch.bool)
    batch_size = min(config.batch_size, len(x))
    for step in range(1, config.num_steps + 1):
        batch = x[torch.randint(len(x), (batch_size,), generator=generator)] if batch_size < len(x) else x
        output = network(batch)
        loss = rqvae_loss(output, batch, config.commitment_weight)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        used.scatter_(1, output.codes.T, True)
        # no restarts near the end: a code needs time to find its place
        if step % config.restart_every == 0:
            if step <= 0.9 * config.num_steps:
                restart_dead_codes(network, optimizer, used, output.residuals.detach(), generator)
            used.zero_()
        if step % REPORT_EVERY == 0 or step == config.num_steps:
            progress.update("RQ-VAE", step, config.num_steps, f"loss {float(loss.detach()):.4f}")


def _start_codebooks(network: RqvaeNetwork, x: Float[Tensor, "n dim"], seed: int) -> None:
    """Each codebook starts as the k-means centroids of the residuals that reach it."""
    with torch.no_grad():
        residual = torch.cat([network.encoder(block) for block in torch.split(x, ROWS_PER_BLOCK)]).numpy()
        for level in range(len(network.codebooks)):
            points, inverse, weights = distinct_rows(residual)
            clusters = kmeans(points, weights, network.codebooks.shape[1], START_ITERATIONS, seed + level)
            network.codebooks[level] = torch.from_numpy(clusters.centroids)
            residual = residual - clusters.centroids[clusters.labels[inverse]]


def restart_dead_codes(
    network: RqvaeNetwork,
    optimizer: torch.optim.Optimizer,
    used: Tensor,
    residuals: Float[Tensor, "batch levels latent"],
    generator: torch.Generator,
) -> int:
    """Move every code that is not `used` (bool `[levels, codes]`) to a random residual of its level; returns how many moved.

    The optimizer's moments of a moved code start again at zero.
    """
    state = optimizer.state.get(network.codebooks, {})
    for level, dead in enumerate(~used):
        num_dead = int(dead.sum())
        with torch.no_grad():
            network.codebooks[level, dead] = residuals[torch.randint(len(residuals), (num_dead,), generator=generator), level]
        for name in ("exp_avg", "exp_avg_sq"):
            if name in state:
                state[name][level, dead] = 0
    return int((~used).sum())


def _perceptron(widths: tuple[int, ...]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for width, following in zip(widths[:-1], widths[1:], strict=True):
        layers += [nn.Linear(width, following, device="meta").to_empty(device="cpu"), nn.ReLU()]
    return nn.Sequential(*layers[:-1])
