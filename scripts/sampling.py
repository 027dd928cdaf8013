"""Compares sampling settings of a model by how its answers read.

    python scripts/sampling.py target/release/artgpt-tui DATA_DIR MODEL

Asks three questions about each of the first twelve held-out paintings at several temperatures (top-p 0.9) and
prints: words an answer, the share of answers that say a four-word sequence twice, distinct word pairs over all
answers, and the share of words that neither the corpus nor the label has, which are mostly broken ones.
"""

import json
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
QUESTIONS = [
    "Describe this painting and tell me how the artist uses colour to create mood.",
    "Where does my eye go first, and why?",
    "What should I compare it with?",
]
TEMPERATURES = [0.0, 0.3, 0.5, 0.7, 1.0]


def words(text):
    return re.findall(r"[a-zà-ÿ]+(?:['’-][a-zà-ÿ]+)*", text.lower())


def main():
    program, data, model = sys.argv[1:]
    museum = Path(data) / "models/met-paintings/files"
    known = set(words((museum / "objects.json").read_text()))
    for name in ("paintings", "text", "held-out"):
        known |= set(words((ROOT / f"data/critiques/{name}.jsonl").read_text()))
    held_out = json.loads((ROOT / "models/artgpt-smol.split.json").read_text())["held_out"][:12]

    def ask(job):
        temperature, number, question = job
        command = [program, "--data-dir", data, "--json", "ask", "--model", model, "--temperature", str(temperature)]
        out = subprocess.run(command + ["--image", str(museum / f"{number}.jpg"), question], capture_output=True)
        return json.loads(out.stdout)["text"]

    print("| temperature | words | four words twice | distinct-2 | unknown words |\n|---|---|---|---|---|")
    for temperature in TEMPERATURES:
        jobs = [(temperature, number, question) for number in held_out for question in QUESTIONS]
        with ThreadPoolExecutor(2) as pool:
            answers = [words(text) for text in pool.map(ask, jobs)]
        total = sum(len(answer) for answer in answers)

        def grams(answer, n):
            return [tuple(answer[i : i + n]) for i in range(len(answer) - n + 1)]

        twice = sum(len(set(grams(a, 4))) < len(grams(a, 4)) for a in answers) / len(answers)
        pairs = [pair for answer in answers for pair in grams(answer, 2)]
        unknown = sum(word not in known for answer in answers for word in answer) / total
        print(f"| {temperature} | {total / len(answers):.0f} | {100 * twice:.0f} % | "
              f"{len(set(pairs)) / len(pairs):.2f} | {100 * unknown:.1f} % |", flush=True)


if __name__ == "__main__":
    main()
