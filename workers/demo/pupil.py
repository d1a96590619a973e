"""The model while it learns: the parts of a LLaVA run over packed lessons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.image_utils import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD

from workers.demo.architecture import PATCHES, attend, build
from workers.demo.lessons import Lesson
from workers.demo.perception import IGNORED, PatchHead

PATCH_SHARE = 0.7
"""how much the patch lesson still counts once the model learns to speak"""


@dataclass(frozen=True, slots=True)
class Said:
    """What the model would say at each place where a token is due, knowing the right ones before it."""

    due: Tensor
    """where, as a mask over the lesson's tokens"""
    logits: Tensor
    targets: Tensor


class Pupil(nn.Module):
    """The model and its throw-away patch head."""

    def __init__(self, tokenizer: Any) -> None:
        super().__init__()
        self.model = build(tokenizer)
        self.head = PatchHead()
        attend(self.model, "plain")

    def tower(self) -> list[tuple[str, nn.Parameter]]:
        """What the first stage trains."""
        seen = ("model.model.vision_tower.", "head.")
        return [(name, weight) for name, weight in self.named_parameters() if name.startswith(seen)]

    def see(self, pixels: Tensor) -> Tensor:
        """Features of the patches, without the class token."""
        features: Tensor = self.model.model.vision_tower(_normal(pixels)).last_hidden_state[:, 1:]
        return features

    def say(self, lesson: Lesson, features: Tensor) -> Tensor:
        """The language model's last states over the packed lesson."""
        inner = self.model.model
        words = inner.get_input_embeddings()(lesson.tokens)
        picture = inner.multi_modal_projector(features).to(words.dtype)
        start = int((lesson.tokens[0] == self.model.config.image_token_index).nonzero()[0])
        states: Tensor = inner.language_model(
            inputs_embeds=torch.cat((words[:, :start], picture, words[:, start + PATCHES :]), 1),
            attention_mask=_sight(lesson.segments),
            position_ids=lesson.positions,
            use_cache=False,
        ).last_hidden_state
        return states

    def answers(self, lesson: Lesson, features: Tensor) -> Said:
        due = lesson.targets != IGNORED
        logits = self.model.lm_head(self.say(lesson, features)[due]).float()
        return Said(due, logits, lesson.targets[due])

    def patch_loss(self, lesson: Lesson) -> tuple[Tensor, dict[str, float]]:
        """The first stage's loss."""
        with torch.autocast("cpu", torch.bfloat16):
            loss, right = self.head.losses(self.see(lesson.pixels), lesson.patches)
        return loss, {"loss": float(loss.detach()), **right}

    def joint_loss(self, lesson: Lesson) -> tuple[Tensor, dict[str, float]]:
        """The second stage's loss: on answers, with a share of the first stage's."""
        with torch.autocast("cpu", torch.bfloat16):
            features = self.see(lesson.pixels)
            patch_loss, right = self.head.losses(features, lesson.patches)
            said = self.answers(lesson, features[: len(lesson.tokens)])
        loss = functional.cross_entropy(said.logits, said.targets)
        hits = (said.logits.argmax(-1) == said.targets).float().mean()
        figures = {
            "answers": float(loss.detach()),
            "tokens": float(hits),
            "shape": right["shape"],
            "glyph": right["glyph"],
        }
        return loss + PATCH_SHARE * patch_loss, figures


def _normal(pixels: Tensor) -> Tensor:
    """Pixels 0 to 255 as CLIP's processor gives them."""
    mean, spread = torch.tensor(OPENAI_CLIP_MEAN), torch.tensor(OPENAI_CLIP_STD)
    return ((pixels.float() / 255 - mean) / spread).permute(0, 3, 1, 2).contiguous()


def _sight(segments: Tensor) -> Tensor:
    """Who may look at whom: a token at the picture and at what its own question said so far, itself always."""
    length = segments.shape[1]
    same = segments[:, :, None] == segments[:, None, :]
    at_picture = segments[:, None, :] == 0
    seen = torch.ones(length, length, dtype=torch.bool).tril() & (same | at_picture)
    seen |= torch.eye(length, dtype=torch.bool)
    return torch.zeros(seen.shape, dtype=torch.bfloat16).masked_fill_(~seen, -1e9)[:, None]
