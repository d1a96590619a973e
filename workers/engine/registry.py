"""The registry of encoded pictures inside openvino-genai, as far as one must know it to rely on it.

It finds a picture again by its shape and a part of its bytes. Of 640x480 pixels it looks at an eighth, in columns,
so two pictures that differ beside them are one to it: the second is answered as if it were the first. It is not
told what is new to it, so whoever uses it keeps such pictures out of each other's way.
"""

from __future__ import annotations

import hashlib

import numpy as np
import openvino as ov
import openvino_genai as genai

READ_IN = "2026.4."
"""the versions of openvino-genai this was read and seen in; another one may look at other bytes"""

_WORD = 8
_WHOLE = 64 << 10
"""so many bytes are looked at as they are"""
_MOST = 256 << 10
_SHARE = 16

Face = tuple[tuple[int, ...], bytes]


def is_known() -> bool:
    """Whether `face` is what the registry of the installed version looks at."""
    return str(genai.__version__).startswith(READ_IN)


def face(image: ov.Tensor) -> Face:
    """What the registry looks at: pictures with different faces are different to it."""
    content = np.ascontiguousarray(image.data).reshape(-1)
    words = content[: content.size // _WORD * _WORD].reshape(-1, _WORD)
    seen = (words[:: _stride(content.size)], words[-1:], content[words.size :])
    digest = hashlib.blake2b(digest_size=16)
    for part in seen:
        digest.update(part.tobytes())
    return tuple(image.shape), digest.digest()


def _stride(size: int) -> int:
    """In words, though the registry reckons it from bytes."""
    if size <= _WHOLE:
        return 1
    wanted = min(max(size // _SHARE, _WHOLE), _MOST)
    return max(_WORD, size // wanted // _WORD * _WORD)


def are_the_same(one: ov.Tensor, other: ov.Tensor) -> bool:
    """Whether two pictures with one face are one picture indeed."""
    return bool(np.array_equal(one.data, other.data))
