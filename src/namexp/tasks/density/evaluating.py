"""What images cost that a density may never have seen."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader
from tqdm import tqdm

from namexp.data.images import files_to_test_on, read_images
from namexp.tasks.density.data.items import WholeImages, together
from namexp.tasks.density.networks import bits_of
from namexp.tasks.density.weights.loading import load_density

BATCH = 64
SEED = 0  # of the numbers that dequantise


def evaluate_images(model: Path, paths: Sequence[Path]) -> dict[str, Any]:
    """Bits per dimension of sets of images.

    Args:
        model: whatever ``load_density`` opens.
        paths: files of images, or directories that hold CIFAR-10 or SVHN, of which the test part counts.

    Returns:
        ``sets``: name, number of images and bpd of each file; ``mean``: over all images.

    Raises:
        UserError: a model or a file that cannot be used, before the first image is looked at.
    """
    network = load_density(model).network
    files = [file for path in paths for file in (files_to_test_on(path) if path.is_dir() else (path,))]
    parts = [(file, read_images(file)) for file in files]
    found, bits = [], []
    for file, images in tqdm(parts, desc="evaluating", delay=1.0, leave=False):
        batches = DataLoader(WholeImages(images, seed=SEED), batch_size=BATCH, collate_fn=together)
        bits.append(bits_of(network, batches))
        found.append({"name": file.name, "images": len(images), "bpd": float(bits[-1].mean())})
    return {"sets": found, "mean": {"bpd": float(torch.cat(bits).mean())}}
