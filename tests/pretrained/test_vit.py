"""The vision transformer, against torch's own encoder layers, on small networks with the published names."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn

from pocketgan.errors import DataError
from pocketgan.pretrained.vit import CLIP, DINOV2, ViT, load_clip, load_dinov2, quick_gelu

WIDTH, DEPTH, PATCH, GRID, FEATURES = 128, 2, 4, 3, 48


RANDOM = torch.Generator().manual_seed(0)


def tensors(*shape):
    return torch.randn(*shape, generator=RANDOM) * shape[-1] ** -0.5


def block():
    """One block under torch's names."""
    layer = nn.TransformerEncoderLayer(WIDTH, WIDTH // 64, 4 * WIDTH, batch_first=True, norm_first=True)
    shapes = {name: value.shape for name, value in layer.state_dict().items()}
    return {name: tensors(*shape) + (name in ("norm1.weight", "norm2.weight")) for name, shape in shapes.items()}


def norms(p, **names):
    """The norms before and after the blocks under these names."""
    return {
        f"{theirs}.{kind}": value
        for ours, theirs in names.items()
        for kind, value in zip(("weight", "bias"), p[ours], strict=True)
    }


def parts():
    """A CLIP image tower under our words."""
    return {
        "token": tensors(WIDTH),
        "positions": tensors(1 + GRID**2, WIDTH),
        "patches": tensors(WIDTH, 3, PATCH, PATCH),
        "before": (tensors(WIDTH) + 1, tensors(WIDTH)),
        "after": (tensors(WIDTH) + 1, tensors(WIDTH)),
        "projection": tensors(WIDTH, FEATURES),
        "blocks": [block() for _ in range(DEPTH)],
    }


def openai(p):
    state = {
        "class_embedding": p["token"],
        "positional_embedding": p["positions"],
        "conv1.weight": p["patches"],
        "proj": p["projection"],
        **norms(p, before="ln_pre", after="ln_post"),
    }
    theirs = {"self_attn": "attn", "norm1": "ln_1", "norm2": "ln_2", "linear1": "mlp.c_fc", "linear2": "mlp.c_proj"}
    for number, layer in enumerate(p["blocks"]):
        for name, value in layer.items():
            head, _, rest = name.partition(".")
            state[f"transformer.resblocks.{number}.{theirs[head]}.{rest}"] = value
    text = {"positional_embedding": tensors(77, 64), "transformer.resblocks.0.ln_1.weight": tensors(64)}
    return {f"visual.{name}": value for name, value in state.items()} | text


def hugging_face(p):
    inside = "vision_model.embeddings."
    state = {
        f"{inside}class_embedding": p["token"],
        f"{inside}position_embedding.weight": p["positions"],
        f"{inside}position_ids": torch.arange(1 + GRID**2)[None],
        f"{inside}patch_embedding.weight": p["patches"],
        "visual_projection.weight": p["projection"].T.contiguous(),
        **norms(p, before="vision_model.pre_layrnorm", after="vision_model.post_layernorm"),
    }
    theirs = {"norm1": "layer_norm1", "norm2": "layer_norm2", "linear1": "mlp.fc1", "linear2": "mlp.fc2"}
    for number, layer in enumerate(p["blocks"]):
        place = f"vision_model.encoder.layers.{number}."
        for name, value in layer.items():
            head, _, rest = name.partition(".")
            if rest.startswith("in_proj"):
                for part, piece in zip("qkv", value.chunk(3), strict=True):
                    state[f"{place}self_attn.{part}_proj.{rest.removeprefix('in_proj_')}"] = piece.clone()
            else:
                state[f"{place}{theirs.get(head, head)}.{rest}"] = value
    return state | {"text_model.final_layer_norm.weight": tensors(64), "text_projection.weight": tensors(9, 9)}


def encoded(p, tokens, activation, epsilon):
    for weights in p["blocks"]:
        layer = nn.TransformerEncoderLayer(
            WIDTH, WIDTH // 64, 4 * WIDTH, 0, activation, epsilon, batch_first=True, norm_first=True
        ).eval()
        layer.load_state_dict(weights)
        tokens = layer(tokens)
    return tokens


def normalised(x, kind):
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (kind.mean, kind.std))
    return ((x + 1) / 2 - mean) / std


def images(side=GRID * PATCH):
    return torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(0)) * 2 - 1


@pytest.mark.parametrize("layout", [openai, hugging_face])
@pytest.mark.parametrize("activation", [quick_gelu, F.gelu])
@torch.no_grad()
def test_clip_against_torchs_encoder(layout, activation, tmp_path):
    p, file = parts(), tmp_path / "clip.safetensors"
    save_file(layout(p), file)
    network = ViT.load(file, replace(CLIP, activation=activation))
    patches = normalised(images(), CLIP).unfold(2, PATCH, PATCH).unfold(3, PATCH, PATCH)  # (batch, 3, i, j, y, x)
    tokens = torch.einsum("bcijyx,wcyx->bijw", patches, p["patches"]).flatten(1, 2)
    tokens = torch.cat([p["token"].expand(2, 1, -1), tokens], 1) + p["positions"]
    tokens = encoded(p, F.layer_norm(tokens, (WIDTH,), *p["before"]), activation, 1e-5)
    wanted = F.layer_norm(tokens[:, 0], (WIDTH,), *p["after"]) @ p["projection"]
    torch.testing.assert_close(network(images()), wanted, rtol=1e-4, atol=1e-5)
    assert network.dimensions == FEATURES
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())


def dinov2(p, scales):
    state = {
        "cls_token": p["token"].view(1, 1, -1),
        "pos_embed": p["positions"].unsqueeze(0),
        "mask_token": tensors(1, WIDTH),
        "patch_embed.proj.weight": p["patches"],
        "patch_embed.proj.bias": p["before"][1],
        "norm.weight": p["after"][0],
        "norm.bias": p["after"][1],
    }
    theirs = {"norm1": "norm1", "norm2": "norm2", "linear1": "mlp.fc1", "linear2": "mlp.fc2"}
    for number, layer in enumerate(p["blocks"]):
        for name, value in layer.items():
            head, _, rest = name.partition(".")
            rest = rest.replace("in_proj_", "qkv.").replace("out_proj", "proj")
            state[f"blocks.{number}.{theirs.get(head, 'attn')}.{rest}"] = value
        for side in (1, 2):
            state[f"blocks.{number}.ls{side}.gamma"] = scales[number][side - 1]
    return state


@torch.no_grad()
def test_dinov2_against_a_naive_restatement(tmp_path):
    p, file = parts(), tmp_path / "dino.pth"
    scales = [(tensors(WIDTH) + 1, tensors(WIDTH) + 1) for _ in range(DEPTH)]
    torch.save(dinov2(p, scales), file)
    network = ViT.load(file, replace(DINOV2, size=GRID * PATCH))
    x = F.conv2d(normalised(images(), DINOV2), p["patches"], p["before"][1], PATCH).flatten(2).transpose(1, 2)
    x = torch.cat([p["token"].expand(2, 1, -1), x], 1) + p["positions"]
    for w, (first, second) in zip(p["blocks"], scales, strict=True):
        y = F.layer_norm(x, (WIDTH,), w["norm1.weight"], w["norm1.bias"], 1e-6)
        q, k, v = F.linear(y, w["self_attn.in_proj_weight"], w["self_attn.in_proj_bias"]).chunk(3, -1)
        heads = []
        for head in (slice(0, 64), slice(64, 128)):
            share = (q[..., head] @ k[..., head].transpose(1, 2) / 8).softmax(-1)
            heads.append(share @ v[..., head])
        y = F.linear(torch.cat(heads, -1), w["self_attn.out_proj.weight"], w["self_attn.out_proj.bias"])
        x = x + first * y
        y = F.layer_norm(x, (WIDTH,), w["norm2.weight"], w["norm2.bias"], 1e-6)
        y = F.gelu(F.linear(y, w["linear1.weight"], w["linear1.bias"]))
        x = x + second * F.linear(y, w["linear2.weight"], w["linear2.bias"])
    wanted = F.layer_norm(x[:, 0], (WIDTH,), *p["after"], 1e-6)
    torch.testing.assert_close(network(images()), wanted, rtol=1e-4, atol=1e-5)
    assert network.dimensions == WIDTH


@torch.no_grad()
def test_kinds_are_told_from_the_names(tmp_path):
    p = parts()
    torch.save(dinov2(p, [(p["token"], p["token"])] * DEPTH), tmp_path / "dino.pth")
    save_file(openai(p), tmp_path / "clip.safetensors")
    assert ViT.load(tmp_path / "dino.pth").kind == DINOV2
    assert ViT.load(tmp_path / "clip.safetensors").kind == CLIP
    assert load_dinov2(tmp_path / "dino.pth").size == 224
    assert load_clip(tmp_path / "clip.safetensors").size == GRID * PATCH


def cubic(distance, a=-0.75):
    """Keys' kernel with torch's parameter."""
    d = distance.abs()
    near, far = (a + 2) * d**3 - (a + 3) * d**2 + 1, a * (d**3 - 5 * d**2 + 8 * d - 4)
    return torch.where(d <= 1, near, torch.where(d < 2, far, 0 * d))


@torch.no_grad()
def test_positions_are_interpolated_as_dinov2_does():
    network = ViT(replace(DINOV2, size=5 * PATCH), width=64, depth=1, patch=PATCH, grid=8)
    network.positions.copy_(tensors(1 + 64, 64))
    at = (torch.arange(5) + 0.5) / (5.1 / 8) - 0.5  # 5.1: DINOv2's way to say "to five patches"
    weights = torch.zeros(5, 8)
    for place in range(-2, 10):  # what lies outside repeats the border
        weights[:, min(max(place, 0), 7)] += cubic(at - place)
    wanted = torch.einsum("iy,jx,yxw->ijw", weights, weights, network.positions[1:].view(8, 8, 64))
    found = network._positions()
    assert torch.equal(found[0], network.positions[0])
    torch.testing.assert_close(found[1:], wanted.flatten(0, 1), rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_images_of_other_sizes_are_resized(tmp_path):
    save_file(openai(parts()), tmp_path / "clip.safetensors")
    network = ViT.load(tmp_path / "clip.safetensors")
    flat = torch.full((1, 3, 31, 50), 0.25)
    torch.testing.assert_close(network(flat), network(flat[..., :12, :12]), rtol=1e-4, atol=1e-5)
    edge = (images(60) > 0) * 2.0 - 1  # a cubic overshoots; no picture does
    small = F.interpolate(edge, (network.size,) * 2, mode="bicubic", antialias=True).clamp(-1, 1)
    torch.testing.assert_close(network(edge), network(small), rtol=1e-4, atol=1e-5)


def test_other_files_are_refused(tmp_path, monkeypatch):
    p = parts()
    states = [
        {"weight": torch.zeros(2)},
        dinov2(p, [(p["token"], p["token"])] * DEPTH) | {"register_tokens": torch.zeros(1, 4, WIDTH)},
        {name: value for name, value in openai(p).items() if "resblocks.1.mlp" not in name},
    ]
    for state in states:
        torch.save(state, tmp_path / "net.pth")
        with pytest.raises(DataError, match=r"net.pth holds no vision transformer of DINOv2 \(without reg"):
            ViT.load(tmp_path / "net.pth")
    monkeypatch.setenv("POCKETGAN_CACHE", str(tmp_path))
    with pytest.raises(DataError, match=r"get dinov2_vitl14_pretrain.pth from https.* --weights dinov2=FILE$"):
        load_dinov2()
    with pytest.raises(DataError, match=r"get clip-vit-large-patch14.safetensors from .* --weights clip=FILE$"):
        load_clip()
