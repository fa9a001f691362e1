"""The random streams of src/linalg/random.ts, written a second time: Philox4x32-10, uniforms, normals."""

import hashlib
import json
import math


class RandomStream:
    """The stream named by (seed, purpose, index)."""

    def __init__(self, seed, purpose, index=0):
        digest = hashlib.sha256(json.dumps([seed, purpose], separators=(",", ":")).encode()).digest()
        self.key = (int.from_bytes(digest[:4], "little"), int.from_bytes(digest[4:8], "little"))
        self.index = index
        self.position = 0
        self.words = []
        self.spare = None

    def uint32(self):
        if not self.words:
            counter = self.position | (self.index << 64)
            x = [(counter >> (32 * i)) & 0xFFFFFFFF for i in range(4)]
            k0, k1 = self.key
            for _ in range(10):
                a, b = 0xD2511F53 * x[0], 0xCD9E8D57 * x[2]
                x = [(b >> 32) ^ x[1] ^ k0, b & 0xFFFFFFFF, (a >> 32) ^ x[3] ^ k1, a & 0xFFFFFFFF]
                k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
            self.words = x
            self.position += 1
        return self.words.pop(0)

    def uniform(self):
        high = self.uint32() >> 5
        return (high * 0x4000000 + (self.uint32() >> 6)) * 2.0**-53

    def normal(self):
        if self.spare is not None:
            value, self.spare = self.spare, None
            return value
        radius = math.sqrt(-2 * math.log(1 - self.uniform()))
        angle = 2 * math.pi * self.uniform()
        self.spare = radius * math.sin(angle)
        return radius * math.cos(angle)
