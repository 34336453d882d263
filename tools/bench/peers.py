"""What is measured of other libraries, in an environment of their own."""

import time

from tools.bench.measure import serve

WARM_UP = 16


def embed_torch(n: int) -> dict[str, float]:
    """Measure VGG16's convolutions and global average in PyTorch eager, float32, batches of 16."""
    import torch
    from torch import nn

    layers, channels = [], 3
    for width, count in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(count):
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(inplace=True)]
            channels = width
        layers.append(nn.MaxPool2d(2))
    network = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()
    images = torch.rand(16, 3, 224, 224)
    with torch.inference_mode():
        network(images[:WARM_UP])
        started = time.perf_counter()
        for _ in range(0, n, 16):
            network(images)
    seconds = time.perf_counter() - started
    return {"seconds": seconds, "per_second": n / seconds}


if __name__ == "__main__":
    serve({"embed_torch": embed_torch})
