"""Compares a model's language with that of its base, without pictures.

    python scripts/fluency.py target/release/artgpt-tui DATA_DIR BASE.gguf MODEL

The base answers 200 general prompts, none of them about art, greedily. The script prints the perplexity of these
answers under the base and under the model, and their ratio; and how many of 24 simple instructions (counts, lists,
length, form) each follows.
"""

import json
import math
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

TOPICS = [
    "volcanoes", "bread", "the moon", "bicycles", "honey bees", "salt", "rivers", "chess", "the human heart", "coffee",
    "railways", "snow", "vaccines", "pencils", "whales", "gardening", "electricity", "deserts", "the printing press",
    "tea", "magnets", "football", "compost", "lighthouses", "sleep", "bridges", "rice", "earthquakes", "clocks",
    "owls", "soap", "the Roman Empire", "batteries", "tides", "potatoes", "libraries", "glass", "rainbows", "yeast",
    "maps",
]
FORMS = [
    "Explain {} to a curious teenager.",
    "Give me three facts about {}.",
    "Why do {} matter to people?",
    "Write a short paragraph about {}.",
    "What is a common mistake that people make about {}?",
]
PROMPTS = [form.format(topic) for topic in TOPICS for form in FORMS]


def items(text):
    return len(re.findall(r"(?m)^\s*(?:\d+[.)]|[-*•])\s+\S", text))


def words(text):
    return len(text.split())


def sentences(text):
    return len(re.findall(r"[.!?](?:\s|$)", text.strip()))


INSTRUCTIONS = (
    [(f"List {n} {what}, numbered.", lambda t, n=n: items(t) == n)
     for n, what in [(3, "fruits"), (4, "animals"), (5, "countries"), (6, "sports"), (7, "days of the week"),
                     (3, "tools of a carpenter"), (5, "kinds of weather"), (4, "musical instruments")]]
    + [(f"{ask} Answer in one word.", lambda t: words(t) <= 2)
       for ask in ["What is the capital of France?", "What colour is grass?", "What do cows drink?",
                   "Which planet do we live on?"]]
    + [(f"{ask} Answer in one sentence.", lambda t: sentences(t) == 1)
       for ask in ["What is rain?", "Why is the sky blue?", "What is a library?", "How does a kettle work?"]]
    + [(f"Answer with yes or no: {ask}", lambda t: t.strip().lower().startswith(("yes", "no")))
       for ask in ["is ice cold?", "can fish fly to the moon?", "is seven more than three?", "do dogs bark?"]]
    + [(f"Write {n} sentences about {what}.", lambda t, n=n: sentences(t) == n)
       for n, what in [(2, "cats"), (3, "the sea"), (2, "winter"), (4, "a market")]]
)


def run(*args):
    out = subprocess.run(args, capture_output=True, text=True)
    if out.returncode != 0:
        raise SystemExit(f"{' '.join(args)}: {out.stdout}{out.stderr}")
    return json.loads(out.stdout)


def main():
    program, data, base, model = sys.argv[1:]
    common = [program, "--data-dir", data, "--json"]

    def ask(name, prompt, limit):
        sure = ["ask", "--greedy", "--max-new-tokens", str(limit), "--model", name, prompt]
        return run(*common, *sure)["text"].strip()

    def score(name, prompt, answer):
        found = run(*common, "score", "--model", name, "--prompt", prompt, "--answer", answer)
        return found["sum"], len(found["token_ids"])

    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda p: ask(base, p, 80), PROMPTS))
        perplexity = {}
        for name in (base, model):
            both = list(pool.map(lambda pair, name=name: score(name, *pair), zip(PROMPTS, answers)))
            perplexity[name] = math.exp(-sum(s for s, _ in both) / sum(n for _, n in both))
            print(f"{name}: perplexity of the base's answers {perplexity[name]:.3f}")
        print(f"ratio {perplexity[model] / perplexity[base]:.3f}")
        for name in (base, model):
            told = list(pool.map(lambda i, name=name: ask(name, i[0], 160), INSTRUCTIONS))
            kept = sum(check(text) for (_, check), text in zip(INSTRUCTIONS, told))
            print(f"{name}: {kept} of {len(INSTRUCTIONS)} instructions followed")


if __name__ == "__main__":
    main()
