"""The RQ-VAE loss, slow and obvious: one item, one level, one number at a time."""

import numpy as np


def slow_rqvae_loss(latents: np.ndarray, codebooks: np.ndarray, decoded: np.ndarray, x: np.ndarray, commitment_weight: float) -> float:
    total = 0.0
    for latent, reconstruction, item in zip(latents, decoded, x, strict=True):
        total += sum((r - i) ** 2 for r, i in zip(reconstruction, item, strict=True)) / len(item)
        residual = list(latent)
        for codebook in codebooks:
            distances = [sum((r - e) ** 2 for r, e in zip(residual, codeword, strict=True)) for codeword in codebook]
            nearest = int(np.argmin(distances))
            total += distances[nearest] + commitment_weight * distances[nearest]
            residual = [r - e for r, e in zip(residual, codebook[nearest], strict=True)]
    return total / len(x)
