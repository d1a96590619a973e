"""The demo model's tokenizer: a small byte-level BPE made from the words of its world."""

from __future__ import annotations

import random
from collections.abc import Iterator

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from workers.demo.questions import exam_questions
from workers.demo.scenes import exam
from workers.demo.world import GLYPHS

PAD, END, USER, ASSISTANT, IMAGE = SPECIAL = ("<pad>", "<|end|>", "<|user|>", "<|assistant|>", "<image>")

# openvino-genai hands `content` over as a string, Hugging Face's processors as a list of parts.
# The model has never seen a system message, so one is left out instead of confusing it.
CHAT_TEMPLATE = (
    "{% for message in messages %}{% if message['role'] != 'system' %}"
    "{{ '<|' + message['role'] + '|>' }}"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}{{ '<image>\\n' }}{% elif part['type'] == 'text' %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}"
    "{% if message['role'] == 'assistant' %}{{ '<|end|>' }}{% endif %}"
    "{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)


def make_tokenizer() -> PreTrainedTokenizerFast:
    """The same tokenizer each time: its corpus is drawn with a fixed seed."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=640,
        min_frequency=20,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(_corpus(), trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        pad_token=PAD,
        eos_token=END,
        additional_special_tokens=[USER, ASSISTANT, IMAGE],
        clean_up_tokenization_spaces=False,
        padding_side="left",
        model_input_names=["input_ids", "attention_mask"],  # LLaVA refuses token_type_ids
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def _corpus() -> Iterator[str]:
    """What is said in the world, without what signs say: each glyph stays a token of its own."""
    for scene in exam("words", 4000):
        rng = random.Random(scene.grain)
        for question in exam_questions(scene, rng):
            yield question.text
            yield question.text.lower()
            if not (scene.sign and scene.sign.text in question.answer):
                yield question.answer
            elif question.kind == "caption":
                yield question.answer.removesuffix(f" {scene.sign.text}.")
    yield from ("\n", " ", ".", *GLYPHS)
