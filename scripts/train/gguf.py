"""GGUF files of a transformer: matrices as Q8_0 (blocks of 32 values, 8 bits each and a scale), the rest in float32.
Half the size of bfloat16. Source of the format: ggml, docs/gguf.md; shapes of more than four dimensions as ComfyUI-GGUF
keeps them."""
import struct

import numpy as np
import torch

F32, Q8_0 = 0, 8
STRING, ARRAY, INT32 = 8, 9, 5
ALIGNMENT, BLOCK = 32, 32
SHAPE = "comfy.gguf.orig_shape."


def text(value):
    return struct.pack("<Q", len(value.encode())) + value.encode()


def q8_0(rows):
    blocks = rows.float().reshape(-1, BLOCK)
    scales = (blocks.abs().amax(1) / 127).half()
    values = (blocks / scales.float().clamp(min=1e-7)[:, None]).round().clamp(-127, 127).to(torch.int8)
    return np.concatenate([scales.numpy().view(np.uint8).reshape(-1, 2), values.numpy().view(np.uint8)], 1).tobytes()


def save(state, path, architecture="wan"):
    tensors, shapes, data = b"", [], []
    position = 0
    for name, value in sorted(state.items()):
        packed = value.ndim == 2 and value.shape[1] % BLOCK == 0
        content = q8_0(value) if packed else value.float().contiguous().numpy().tobytes()
        shape = list(value.shape)
        if len(shape) > 4:
            shapes.append((name, shape))
            shape = [shape[0], value[0].numel()]
        tensors += text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape[::-1], Q8_0 if packed else F32,
                                            position)
        data.append(content + bytes(-len(content) % ALIGNMENT))
        position += len(data[-1])
    pairs = text("general.architecture") + struct.pack("<I", STRING) + text(architecture)
    for name, shape in shapes:
        pairs += text(SHAPE + name) + struct.pack(f"<IIQ{len(shape)}i", ARRAY, INT32, len(shape), *shape)
    head = b"GGUF" + struct.pack("<IQQ", 3, len(state), 1 + len(shapes)) + pairs + tensors
    with open(path, "wb") as file:
        file.write(head + bytes(-len(head) % ALIGNMENT))
        file.writelines(data)


class Cursor:
    def __init__(self, data):
        self.data, self.position = data, 0

    def take(self, form):
        values = struct.unpack_from("<" + form, self.data, self.position)
        self.position += struct.calcsize("<" + form)
        return values

    def text(self):
        return self.take(f"{self.take('Q')[0]}s")[0].decode()


def load(path):
    """What `save` wrote."""
    with open(path, "rb") as file:
        cursor = Cursor(file.read())
    magic, _, count, pairs = cursor.take("4sIQQ")
    if magic != b"GGUF":
        raise ValueError(f"{path} is no GGUF file")
    shapes, listed, state = {}, [], {}
    for _ in range(pairs):
        key, (kind,) = cursor.text(), cursor.take("I")
        if kind == STRING:
            cursor.text()
        else:
            _, size = cursor.take("IQ")
            shapes[key.removeprefix(SHAPE)] = cursor.take(f"{size}i")
    for _ in range(count):
        name, (dimensions,) = cursor.text(), cursor.take("I")
        listed.append((name, cursor.take(f"{dimensions}Q")[::-1], *cursor.take("IQ")))
    begin = cursor.position + -cursor.position % ALIGNMENT
    for name, shape, kind, offset in listed:
        count = int(np.prod(shape))
        if kind == F32:
            value = torch.from_numpy(np.frombuffer(cursor.data, np.float32, count, begin + offset).copy())
        else:
            rows = np.frombuffer(cursor.data, np.uint8, count // BLOCK * (BLOCK + 2), begin + offset)
            rows = rows.reshape(-1, BLOCK + 2).copy()
            scales = torch.from_numpy(rows[:, :2].copy().view(np.float16).astype(np.float32))
            value = torch.from_numpy(rows[:, 2:].view(np.int8).astype(np.float32)) * scales
        state[name] = value.view(shapes.get(name, shape))
    return state
