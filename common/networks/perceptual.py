"""What super-resolution minimises beside the voxels' differences.

The perceptual features are those of a network of random filters whose weights follow from
words alone: the same at every site and in every study, and nothing is downloaded. Such
features do nearly as well as trained ones (He et al., NeurIPS 2016; Zhang et al., CVPR
2018, both on photographs).
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812  (its name everywhere)
from torch import Tensor, nn

from common.seeds import torch_rng

_CHANNELS = (8, 16, 16)
_SLOPE = 0.2


class RandomFeatures(nn.Module):
    """Features of an image at three scales by filters that are never trained."""

    def __init__(self) -> None:
        super().__init__()
        rng = torch_rng("perceptual features", 1)
        self.levels = nn.ModuleList()
        n_in = 1
        for i, n_out in enumerate(_CHANNELS):
            level = nn.Conv3d(n_in, n_out, 3, stride=1 if i == 0 else 2, padding=1, bias=False)
            weight = torch.randn(n_out, n_in * 27, generator=rng)
            # No filter answers to a flat image, nor two to the same.
            basis, _ = torch.linalg.qr((weight - weight.mean(1, keepdim=True)).T)
            level.weight.data = basis.T.reshape(level.weight.shape).contiguous()
            self.levels.append(level)
            n_in = n_out
        self.requires_grad_(requires_grad=False)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Return the features of every scale, the finest first."""
        found = []
        for level in self.levels:
            image = F.leaky_relu(level(image), _SLOPE)
            found.append(image)
        return found


def feature_distance(a: Sequence[Tensor], b: Sequence[Tensor]) -> Tensor:
    """Return the mean absolute difference of features, mean of their levels."""
    parts = [(x.float() - y.float().detach()).abs().mean() for x, y in zip(a, b, strict=True)]
    return torch.stack(parts).mean()


def judge(verdicts: Tensor, *, original: bool) -> Tensor:
    """Return the least-squares loss of verdicts (Mao et al., ICCV 2017)."""
    wanted = 1.0 if original else 0.0
    return ((verdicts.float() - wanted) ** 2).mean()
