#!/usr/bin/env python3
"""Counts and checks the critique corpus: `scripts/critiques_report.py [FOLDER]` (default data/critiques).

Prints how many conversations, answers and words there are, the share of answers of 25 to 90 words, the most
frequent openings, and six-word sequences that several paintings share. Exits with 1 where a rule of the data
card is broken: a six-word sequence in more than 2 % of the paintings, a four-word opening in more than 3 % of
the answers, fewer than two thirds of the answers to questions about a picture between 25 and 90 words, a
question of a held-out painting that training asks too, or a held-out painting among the training texts.
"""

import collections
import json
import pathlib
import re
import sys

TRAINING = ["paintings", "text", "languages"]
HELD_OUT = "held-out"


def words(text):
    return re.findall(r"[\w']+", text.lower().replace("’", "'"))


def read(folder, name):
    with open(folder / f"{name}.jsonl", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def said(conversations, role):
    return [
        (conversation["image"], words(turn["text"]))
        for conversation in conversations
        for turn in conversation["turns"]
        if turn["role"] == role
    ]


def main():
    root = pathlib.Path(__file__).resolve().parent.parent
    folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else root / "data/critiques"
    training = [c for name in TRAINING for c in read(folder, name)]
    held_out = read(folder, HELD_OUT)
    everything = training + held_out
    broken = []

    for name in TRAINING + [HELD_OUT]:
        part = read(folder, name)
        answers = said(part, "assistant")
        pictures = {c["image"] for c in part} - {None}
        count = sum(len(answer) for _, answer in answers)
        print(f"{name:10} {len(pictures):4} pictures {len(part):5} conversations {len(answers):5} answers {count:7} words")
    kinds = collections.Counter(c["kind"] for c in everything)
    print("kinds:", ", ".join(f"{kind} {count}" for kind, count in sorted(kinds.items())))

    answers = said(everything, "assistant")
    about = [answer for image, answer in answers if image is not None]
    share = sum(25 <= len(answer) <= 90 for answer in about) / len(about)
    print(f"answers about a picture: {len(about)}, {share:.1%} of them 25 to 90 words")
    if share < 2 / 3:
        broken.append("too many short or long answers")

    openings = collections.Counter(" ".join(a[:4]) for _, a in answers if len(a) >= 4)
    print("openings:", ", ".join(f"{o!r} {n}" for o, n in openings.most_common(6)))
    broken += [f"{n} answers begin with {o!r}" for o, n in openings.items() if n > 0.03 * len(answers)]

    sequences = collections.defaultdict(set)
    for image, answer in answers:
        if image is not None:
            for at in range(len(answer) - 5):
                sequences[" ".join(answer[at : at + 6])].add(image)
    paintings = len({image for image, _ in answers} - {None})
    shared = {sequence: len(images) for sequence, images in sequences.items() if len(images) > 1}
    print(f"six-word sequences that several of {paintings} paintings share: {len(shared)}")
    broken += [f"{n} paintings share {s!r}" for s, n in shared.items() if n > 0.02 * paintings]

    asked = {" ".join(question) for _, question in said(training, "user")}
    again = sorted({" ".join(q) for _, q in said(held_out, "user")} & asked)
    broken += [f"training asks the held-out question {question!r}" for question in again]
    split = json.loads((root / "models/artgpt-smol.split.json").read_text())
    leaked = {c["image"] for c in training} & set(split["held_out"])
    broken += [f"{image} is held out and trains" for image in leaked]

    for what in broken:
        print("broken:", what, file=sys.stderr)
    sys.exit(1 if broken else 0)


if __name__ == "__main__":
    main()
