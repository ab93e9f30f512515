#!/usr/bin/env python3
"""blocks.py makes backend/testdata/ggml.json: numbers as ggml itself quantises them, and blocks as it reads them.

It calls the library of llama.cpp that scripts/peers.sh llama installs:

    scripts/blocks.py "$(scripts/peers.sh llama)" > backend/testdata/ggml.json
"""
import base64
import ctypes
import glob
import json
import math
import random
import struct
import sys

TYPES = {  # ggml_type, numbers and bytes of a block, where a block has f16
    "q4_0": (2, 32, 18, [0]), "q4_1": (3, 32, 20, [0, 2]), "q5_0": (6, 32, 22, [0]), "q5_1": (7, 32, 24, [0, 2]), "q8_0": (8, 32, 34, [0]),
    "q4_K": (12, 256, 144, [0, 2]), "q5_K": (13, 256, 176, [0, 2]), "q6_K": (14, 256, 210, [208]),
    "iq4_nl": (20, 32, 18, [0]), "iq4_xs": (23, 256, 136, [0]), "mxfp4": (39, 32, 17, []),
}


def text(data):
    return base64.b64encode(bytes(data)).decode()


def main():
    pattern = sys.argv[1] + "/../@node-llama-cpp/*/bins/*/libggml-base.*"
    lib = ctypes.CDLL(glob.glob(pattern)[0])
    lib.ggml_quantize_chunk.restype = ctypes.c_size_t
    lib.ggml_quantize_chunk.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p] + [ctypes.c_int64] * 3 + [ctypes.c_void_p]
    r = random.Random(1)
    values = []
    for row in range(16):
        for i in range(256):
            x = r.gauss(0, 0.02)
            if row == 1:  # of all sizes
                x *= 10 ** (i // 32 - 3)
            elif row == 2 and r.random() < 0.02:  # outliers
                x *= 30
            elif row == 3:  # one sign
                x = abs(x) + 0.01
            elif row == 4:
                x = -abs(x) - 0.3
            elif row == 5:  # zeros
                x = x if i % 64 < 7 else 0
            elif row == 6:  # uniform
                x = r.uniform(-1, 1)
            elif row == 7:  # one number
                x = 0.37
            elif row == 8:  # scales that are denormal in f16
                x *= 1e-4
            values.append(struct.unpack("<f", struct.pack("<f", x))[0])
    n = len(values)
    source = (ctypes.c_float * n)(*values)
    types = {}
    for name, (number, length, size, halves) in TYPES.items():
        encoded = (ctypes.c_uint8 * (n // length * size))()
        assert lib.ggml_quantize_chunk(number, source, encoded, 0, n // 256, 256, None) == len(encoded)

        count = 8 * 256 // length if length < 256 else 4
        blocks = bytearray(r.randrange(256) for _ in range(count * size))
        for b in range(count):
            for at in halves:
                x = struct.pack("<e", r.choice([-1, 1]) * math.exp(r.uniform(-14, 2)))
                blocks[b * size + at : b * size + at + 2] = x
            if not halves:
                blocks[b * size] = [0, 1, 2, 126, 127, 128, 200, 250][b % 8]
        decoded = (ctypes.c_float * (count * length))()
        getattr(lib, "dequantize_row_" + name)((ctypes.c_uint8 * len(blocks)).from_buffer(blocks), decoded, ctypes.c_int64(count * length))
        types[name.lower()] = {"encoded": text(encoded), "blocks": text(blocks), "decoded": text(decoded)}
    json.dump({"values": text(source), "types": types}, sys.stdout, indent=1, sort_keys=True)
    print()


main()
