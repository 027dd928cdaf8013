"""Writes unedited conversations of the default model about held-out paintings, as Markdown.

    python scripts/transcripts.py target/release/artgpt-tui DATA_DIR > docs/transcripts.md

Each painting is one session with greedy decoding; nothing is selected or edited. Training never used these
wordings.
"""

import json
import subprocess
import sys
from pathlib import Path

QUESTIONS = [
    "What is going on in this painting?",
    "How does the artist use colour to create mood?",
    "Would you call these colours warm?",
    "How many people can be seen?",
    "Where did you learn who painted it, and who was it?",
]
COUNT = 20


def ask(program, data, session, picture, question):
    command = [program, "--data-dir", data, "--json", "ask", "--greedy", "--session", session]
    command += ["--image", picture] if picture else []
    out = subprocess.run(command + [question], capture_output=True, text=True)
    begun = [line.split()[1] for line in out.stderr.splitlines() if line.startswith("session ")]
    return json.loads(out.stdout), (begun or [session])[0]


if __name__ == "__main__":
    program, data = sys.argv[1], sys.argv[2]
    root = Path(__file__).resolve().parent.parent
    split = json.loads((root / "models/artgpt-smol.split.json").read_text())
    museum = Path(data) / "models/met-paintings/files"
    records = {o["objectID"]: o for o in json.loads((museum / "objects.json").read_text())["objects"]}
    print("# Twenty conversations about paintings that training never saw\n")
    print("Made by `scripts/transcripts.py`, greedy, unedited; the model reads the museum's label.\n")
    for number in split["held_out"][:COUNT]:
        record = records[number]
        print(f"## {record['title']} (Met {number})\n")
        tags = ", ".join(t["term"] if isinstance(t, dict) else t for t in record.get("tags") or [])
        print(f"The museum's tags: {tags or 'none'}.\n")
        session, picture = "new", str(museum / f"{number}.jpg")
        for question in QUESTIONS:
            answer, session = ask(program, data, session, picture, question)
            picture = None
            print(f"> {question}\n\n{answer.get('text', answer)}\n")
