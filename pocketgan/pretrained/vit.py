"""A plain vision transformer that runs the weights of DINOv2 and of CLIP's image tower, for distances of features.

The publishers state no checksums, so that nothing is downloaded: the file is handed in or lies in the cache, and
everything about the network is read off it.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from pocketgan.errors import DataError
from pocketgan.interop.checkpoint import read_state
from pocketgan.pretrained.unpinned import find_unpinned

#: channels of an attention head, in all of these networks
HEAD = 64
DINOV2_FILE, CLIP_FILE = "dinov2_vitl14_pretrain.pth", "clip-vit-large-patch14.safetensors"
#: bytes; CLIP's largest, ViT-L/14, has 1.7 GB with its text tower
_LARGEST = 2 << 30


def quick_gelu(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """x · sigmoid(1.702 x), with which OpenAI approximates GELU.

    Source: Hendrycks and Gimpel, "Gaussian Error Linear Units", 2016, section 2.
    """
    return x * torch.sigmoid(1.702 * x)


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What the tensors of a file do not tell: how its network was trained to see.

    ``size``: side of the images in pixels; none: as many patches as there are positions.
    """

    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    epsilon: float
    activation: Callable[[Tensor], Tensor]
    size: int | None = None


DINOV2 = Kind(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225), epsilon=1e-6, activation=F.gelu, size=224)
CLIP = Kind(
    mean=(0.48145466, 0.4578275, 0.40821073),
    std=(0.26862954, 0.26130258, 0.27577711),
    epsilon=1e-5,
    activation=quick_gelu,
)

#: names of DINOv2, of OpenAI and open_clip (after "visual."), of Hugging Face; and ours
_BLOCK = r"(?:blocks|transformer\.resblocks|vision_model\.encoder\.layers)\.(\d+)\."
_NAMES = {
    r"(cls_token|class_embedding|vision_model\.embeddings\.class_embedding)": "token",
    r"(pos_embed|positional_embedding|vision_model\.embeddings\.position_embedding\.weight)": "positions",
    r"(?:patch_embed\.proj|conv1|vision_model\.embeddings\.patch_embedding)\.(weight|bias)": r"patches.\1",
    r"(?:ln_pre|vision_model\.pre_layrnorm)\.(weight|bias)": r"before.\1",
    r"(?:norm|ln_post|vision_model\.post_layernorm)\.(weight|bias)": r"after.\1",
    r"(?:proj|visual_projection\.weight)": "projection",
    _BLOCK + r"(?:norm1|ln_1|layer_norm1)\.(weight|bias)": r"blocks.\1.norm1.\2",
    _BLOCK + r"(?:norm2|ln_2|layer_norm2)\.(weight|bias)": r"blocks.\1.norm2.\2",
    _BLOCK + r"attn\.(?:qkv\.|in_proj_)(weight|bias)": r"blocks.\1.qkv.\2",
    _BLOCK + r"self_attn\.([qkv])_proj\.(weight|bias)": r"blocks.\1.\2.\3",
    _BLOCK + r"(?:attn\.proj|attn\.out_proj|self_attn\.out_proj)\.(weight|bias)": r"blocks.\1.out.\2",
    _BLOCK + r"mlp\.(?:fc1|c_fc)\.(weight|bias)": r"blocks.\1.widen.\2",
    _BLOCK + r"mlp\.(?:fc2|c_proj)\.(weight|bias)": r"blocks.\1.narrow.\2",
    _BLOCK + r"ls1\.gamma": r"blocks.\1.scale.out",
    _BLOCK + r"ls2\.gamma": r"blocks.\1.scale.narrow",
}


class _Block(nn.Module):
    """Attention and two layers of each token, both after a norm and added to their input."""

    def __init__(self, width: int, kind: Kind):
        super().__init__()
        self.norm1 = nn.LayerNorm(width, kind.epsilon)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width, kind.epsilon)
        self.widen = nn.Linear(width, 4 * width)
        self.narrow = nn.Linear(4 * width, width)
        self.activation = kind.activation

    def forward(self, x: Float[Tensor, "batch tokens width"]) -> Float[Tensor, "batch tokens width"]:
        heads = self.qkv(self.norm1(x)).unflatten(-1, (3, -1, HEAD))
        q, k, v = heads.permute(2, 0, 3, 1, 4)
        seen = F.scaled_dot_product_attention(q, k, v)
        x = x + self.out(seen.transpose(1, 2).flatten(2))
        return x + self.narrow(self.activation(self.widen(self.norm2(x))))


class ViT(nn.Module):
    """Images in, the features of the class token out (after CLIP's projection, where the file has one).

    ``grid``: patches a side for which there are positions. ``before``: a norm precedes the blocks (CLIP).

    Source: Dosovitskiy et al., "An Image is Worth 16x16 Words", ICLR 2021; Oquab et al., "DINOv2", TMLR 2024;
    Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", ICML 2021.
    """

    def __init__(
        self,
        kind: Kind,
        *,
        width: int,
        depth: int,
        patch: int,
        grid: int,
        before: bool = False,
        features: int | None = None,
    ):
        super().__init__()
        self.kind, self.patch, self.grid = kind, patch, grid
        self.size = kind.size or grid * patch
        self.dimensions = features or width
        self.token = nn.Parameter(torch.zeros(width))
        self.positions = nn.Parameter(torch.zeros(1 + grid**2, width))
        self.patches = nn.Conv2d(3, width, patch, stride=patch)
        self.before = nn.LayerNorm(width, kind.epsilon) if before else nn.Identity()
        self.blocks = nn.Sequential(*(_Block(width, kind) for _ in range(depth)))
        self.after = nn.LayerNorm(width, kind.epsilon)
        self.projection = nn.Parameter(torch.zeros(width, features)) if features else None

    @classmethod
    def load(cls, weights: Path, kind: Kind | None = None) -> "ViT":
        """The network of a file of DINOv2 (no registers) or CLIP, in eval mode, frozen, in float32.

        ``kind``: by default DINOV2 or CLIP as the names tell; the CLIPs of LAION want
        ``replace(CLIP, activation=F.gelu)``. Raises DataError for a file of another network.
        """
        state = read_state(weights, largest=_LARGEST)
        if kind is None:
            kind = DINOV2 if "cls_token" in state else CLIP
        try:
            found = _renamed(state)
            network = cls(
                kind,
                width=found["token"].numel(),
                depth=len({name.split(".")[1] for name in found if name.startswith("blocks.")}),
                patch=found["patches.weight"].shape[-1],
                grid=math.isqrt(len(found["positions"]) - 1),
                before="before.weight" in found,
                features=found["projection"].shape[1] if "projection" in found else None,
            )
            network.load_state_dict(found)
        except (KeyError, RuntimeError) as error:
            raise DataError(
                f"{weights} holds no vision transformer of DINOv2 (without registers) or CLIP; give the "
                "published file"
            ) from error
        return network.eval().requires_grad_(False)

    def forward(self, x: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch dimensions"]:
        """Features of images in [-1, 1] of any size, resized (bicubic, antialiased) to the network's own."""
        if x.shape[-2:] != (self.size, self.size):
            x = F.interpolate(x, (self.size, self.size), mode="bicubic", align_corners=False, antialias=True)
        mean, std = (x.new_tensor(values).view(3, 1, 1) for values in (self.kind.mean, self.kind.std))
        patches = self.patches(((x.clamp(-1, 1) + 1) / 2 - mean) / std).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.token.expand(len(x), 1, -1), patches], dim=1) + self._positions()
        features = self.after(self.blocks(self.before(tokens))[:, 0])
        return features if self.projection is None else features @ self.projection

    def _positions(self) -> Float[Tensor, "tokens width"]:
        """The positions, interpolated where the image has another number of patches than they were trained for.

        The tenth of a patch in the factor is DINOv2's own: its published features contain it.
        """
        patches = self.size // self.patch
        if patches == self.grid:
            return self.positions
        grid = self.positions[1:].T.unflatten(1, (self.grid, self.grid)).unsqueeze(0)
        factor = (patches + 0.1) / self.grid
        grid = F.interpolate(grid, scale_factor=(factor, factor), mode="bicubic", align_corners=False)
        return torch.cat([self.positions[:1], grid.flatten(2).squeeze(0).T])


def load_dinov2(weights: Path | None = None) -> ViT:
    """DINOv2 of a given file (S/14, B/14 or L/14), else of that of L/14 in the cache folder."""
    page = "https://github.com/facebookresearch/dinov2"
    return ViT.load(find_unpinned("dinov2", DINOV2_FILE, page, weights), DINOV2)


def load_clip(weights: Path | None = None) -> ViT:
    """The image tower of OpenAI's CLIP of a given file (B/32, L/14), else of that of L/14 in the cache folder."""
    page = "https://huggingface.co/openai/clip-vit-large-patch14 (model.safetensors)"
    return ViT.load(find_unpinned("clip", CLIP_FILE, page, weights), CLIP)


def _renamed(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The image tower under our names in float32; a text tower and tokens for training are left out.

    Three linear maps that a file keeps apart become one, and a file's scale of each block's outputs is multiplied
    into the weights that make them.
    """
    if any(name.startswith("visual.") for name in state):
        state = {name.removeprefix("visual."): state[name] for name in state if name.startswith("visual.")}
    found: dict[str, Tensor] = {}
    for name, tensor in state.items():
        for theirs, ours in _NAMES.items():
            if match := re.fullmatch(theirs, name):
                found[match.expand(ours)] = tensor.float()
    if "visual_projection.weight" in state:
        found["projection"] = found["projection"].T
    found["token"] = found["token"].flatten()
    found["positions"] = found["positions"].flatten(0, -2)
    found.setdefault("patches.bias", torch.zeros_like(found["token"]))
    for name in [name for name in found if ".q." in name]:
        found[name.replace(".q.", ".qkv.")] = torch.cat([found.pop(name.replace(".q.", f".{x}.")) for x in "qkv"])
    for name in [name for name in found if ".scale." in name]:
        scale, layer = found.pop(name), name.replace(".scale", "")
        found[f"{layer}.weight"] = found[f"{layer}.weight"] * scale.unsqueeze(1)
        found[f"{layer}.bias"] = found[f"{layer}.bias"] * scale
    if "register_tokens" in state:
        raise KeyError("register_tokens")
    return found
