"""The ways each question is put: those taught, and those kept back to examine with.

A kept-back phrasing means the same and is made of words the model has met, but was never trained as a whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Phrasing:
    """Templates for one question; their braces are filled with what is asked about."""

    taught: tuple[str, ...]
    kept: tuple[str, ...]


PHRASES: Mapping[str, Phrasing] = {
    "caption": Phrasing(
        taught=(
            "Describe this picture.",
            "Describe the picture.",
            "Describe the image.",
            "Describe this image.",
            "What is in the picture?",
            "What is in this image?",
            "Caption this picture.",
            "Caption this image.",
            "Write a caption.",
            "What do you see?",
            "What does the picture show?",
            "Describe what you see.",
        ),
        kept=("What is in this picture?", "What does the image show?", "What do you see in the picture?"),
    ),
    "color": Phrasing(
        taught=(
            "What color is the {shape}?",
            "What colour is the {shape}?",
            "Which color is the {shape}?",
            "What is the color of the {shape}?",
            "What is the colour of the {shape}?",
            "What color does the {shape} have?",
            "Name the color of the {shape}.",
            "The {shape} is what color?",
        ),
        kept=("Which colour is the {shape}?", "Which color does the {shape} have?", "Name the colour of the {shape}."),
    ),
    "is color": Phrasing(
        taught=(
            "Is the {shape} {color}?",
            "Is the color of the {shape} {color}?",
            "Is {color} the color of the {shape}?",
            "Does the {shape} have the color {color}?",
        ),
        kept=("Is the colour of the {shape} {color}?", "Is {color} the colour of the {shape}?"),
    ),
    "shape": Phrasing(
        taught=(
            "What shape is {color}?",
            "Which shape is {color}?",
            "What shape is the {color} object?",
            "What is the shape of the {color} object?",
            "What shape does the {color} thing have?",
            "What is the {color} thing?",
            "Name the {color} shape.",
        ),
        kept=(
            "Which shape is the {color} object?",
            "What shape is the {color} thing?",
            "What is the shape of the {color} thing?",
        ),
    ),
    "count": Phrasing(
        taught=(
            "How many shapes are there?",
            "How many objects are there?",
            "How many objects are in the image?",
            "How many shapes are in the picture?",
            "How many shapes do you see?",
            "Count the objects.",
            "Count the shapes in the image.",
            "What is the number of shapes?",
        ),
        kept=(
            "How many shapes are in the image?",
            "How many objects are in the picture?",
            "How many objects do you see?",
            "Count the shapes.",
        ),
    ),
    "count of": Phrasing(
        taught=(
            "How many {many} are there?",
            "How many {many} are in the image?",
            "How many {many} do you see?",
            "Count the {many}.",
            "What is the number of {many}?",
        ),
        kept=("How many {many} are in the picture?", "Count the {many} in the image."),
    ),
    "presence": Phrasing(
        taught=(
            "Is there {one}?",
            "Is there {one} in the picture?",
            "Do you see {one}?",
            "Does the image show {one}?",
            "Is {one} in the image?",
            "Can you see {one}?",
        ),
        kept=("Is there {one} in the image?", "Does the picture show {one}?", "Is {one} in the picture?"),
    ),
    "relation": Phrasing(
        taught=(
            "Is the {thing} {side} the {other}?",
            "Is the {thing} placed {side} the {other}?",
            "Does the {thing} lie {side} the {other}?",
            "Do you see the {thing} {side} the {other}?",
        ),
        kept=("Does the picture show the {thing} {side} the {other}?", "Can you see the {thing} {side} the {other}?"),
    ),
    "neighbour": Phrasing(
        taught=(
            "What is {side} the {thing}?",
            "What lies {side} the {thing}?",
            "Which object is {side} the {thing}?",
            "What do you see {side} the {thing}?",
            "Name the object {side} the {thing}.",
        ),
        kept=("Which object lies {side} the {thing}?", "Which object do you see {side} the {thing}?"),
    ),
    "size": Phrasing(
        taught=(
            "Is the {thing} small or large?",
            "Is the {thing} large or small?",
            "What size is the {thing}?",
            "What is the size of the {thing}?",
            "How large is the {thing}?",
            "Which size does the {thing} have?",
        ),
        kept=("What size does the {thing} have?", "Which size is the {thing}?", "Name the size of the {thing}."),
    ),
    "is size": Phrasing(
        taught=("Is the {thing} {size}?", "Is the size of the {thing} {size}?", "Do you see a {size} {thing}?"),
        kept=("Can you see a {size} {thing}?",),
    ),
    "place": Phrasing(
        taught=(
            "Where is the {thing}?",
            "Where is the {thing} in the picture?",
            "Where do you see the {thing}?",
            "In which part of the image is the {thing}?",
            "Where does the {thing} lie?",
            "Name the place of the {thing}.",
        ),
        kept=("Where is the {thing} in the image?", "In which part of the picture is the {thing}?"),
    ),
    "background": Phrasing(
        taught=(
            "What color is the background?",
            "What colour is the background?",
            "What is the color of the background?",
            "Which color does the background have?",
            "Name the color of the background.",
            "What is the background color?",
        ),
        kept=(
            "Which color is the background?",
            "What is the colour of the background?",
            "The background is what color?",
        ),
    ),
    "is background": Phrasing(
        taught=(
            "Is the background {background}?",
            "Is the color of the background {background}?",
            "Does the image have a {background} background?",
        ),
        kept=("Does the picture have a {background} background?", "Is there a {background} background?"),
    ),
    "reading": Phrasing(
        taught=(
            "What is written in the picture?",
            "What is written?",
            "What does the sign say?",
            "Read the sign.",
            "Read the text.",
            "What text is in the image?",
            "Which letters or digits do you see?",
            "What does the text say?",
        ),
        kept=(
            "What is written in the image?",
            "What letters or digits do you see?",
            "Read the text in the picture.",
            "What text do you see?",
        ),
    ),
    "is text": Phrasing(
        taught=("Is there text in the picture?", "Is there a sign?", "Do you see text?", "Does the image show text?"),
        kept=("Is there a sign in the image?", "Does the picture show text?", "Can you see text?"),
    ),
}
