"""A linear classifier on raw features, whatever scaling its solver used."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True, slots=True)
class LinearHead:
    """logits = features @ weight.T + bias, with `weight` (K, D) and `bias` (K,)."""

    weight: torch.Tensor
    bias: torch.Tensor

    def logits(self, features: torch.Tensor) -> torch.Tensor:
        """(N, K) from (N, D)."""
        return features.to(self.weight.dtype) @ self.weight.T + self.bias
