"""What one writes with torch, Pillow and zipfile: one process, torch's own number of threads.

A user has the network as a torch module. Here it is a plain `nn.Sequential` with the weights of the ONNX file,
which holds dense layers with ReLU between them or is refused.
"""

from watch import Watch

# isort: split
import onnx
import torch
from errand import Errand, read_errand
from onnx import numpy_helper
from pictures import check_zips, write_zip
from torch import Tensor, nn

#: Of 256, 1,024 and 4,096 the fastest.
BATCH = 1024
#: What the exporter writes around the layers: the label's one-hot before, grey levels behind.
BEFORE = ["Unsqueeze", "Equal", "Cast", "Cast", "Concat"]
BEHIND = ["Sigmoid", "Mul", "Round", "Clip", "Cast", "Reshape"]


def dense_layers(errand: Errand) -> nn.Sequential:
    """`[B, latent_dim + labels] -> [B, H * W * C]` logits."""
    graph = onnx.load(errand.decoder / "decoder.onnx").graph
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    gemms = [node for node in graph.node if node.op_type == "Gemm"]
    layers = ["Gemm", "Relu"] * len(gemms)
    if [node.op_type for node in graph.node] != [*BEFORE, *layers[:-1], *BEHIND]:
        raise SystemExit("the decoder has another architecture than dense layers in a row")
    stack: list[nn.Module] = []
    for gemm in gemms:
        weight, bias = (torch.tensor(weights[name]) for name in gemm.input[1:])
        linear = nn.Linear(weight.shape[1], weight.shape[0])
        linear.weight.data, linear.bias.data = weight, bias
        stack += [linear, nn.ReLU()]
    return nn.Sequential(*stack[:-1])


@torch.inference_mode()
def draw(network: nn.Sequential, errand: Errand, count: int) -> Tensor:
    """uint8 [count, H, W], or [count, H, W, C] in colour."""
    one_hot = torch.zeros(BATCH, len(errand.card["labels"]))
    one_hot[:, errand.label_id] = 1
    batches = []
    for _ in range(0, count, BATCH):
        latents = torch.randn(BATCH, errand.card["latent_dim"])
        pixels = torch.sigmoid(network(torch.cat([latents, one_hot], dim=1)))
        batches.append((pixels * 255).round().to(torch.uint8))
    shape = errand.card["image"]
    images = torch.cat(batches)[:count]
    return images.reshape(count, shape["height"], shape["width"], -1).squeeze(-1)


def main() -> None:
    errand, watch = read_errand(), Watch()
    network = dense_layers(errand).eval()
    watch.start()
    for start, stop in errand.ranges():
        write_zip(errand, start, draw(network, errand, stop - start).numpy())
    watch.stop()
    watch.tell("plain_script", errand, ["torch", "pillow", "numpy"], check_zips(errand))


if __name__ == "__main__":
    main()
