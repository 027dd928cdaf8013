"""Caption metrics by pycocoevalcap, for crates/artgpt-eval/src/caption/. Writes captions.json.

Needs Java and `pip install pycocoevalcap==1.2`. METEOR runs as in pycocoevalcap (`-l en -norm`), but with the
modules exact and stem only: synonyms and paraphrases need files that this program does not carry.
"""

import json
import subprocess
from pathlib import Path

import pycocoevalcap.meteor.meteor as meteor
from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.rouge.rouge import Rouge
from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

TEXTS = """\
can't cannot gonna wanna gotta gimme lemme it's painters' o'clock well-known 1,000.50 Mr. Smith U.S. p.m. $5 20% woman.And (x) [x] {x}
“Curly” ‘quotes’ … a dash — en-dash – hyphen - double -- end
He said 'hello' and "bye". Rock 'n' roll, the '90s, the 1660s, 19th c. a.m.
and/or 1/2 3:30 10/12/2010 e.g. this, i.e. that, No. 5 Dr. X, J. M. W. Turner vs. St. Mary
£5 €10 ¥3 & AT&T @home #1
I've we're they'd she'll I'm let's 'tis 'twas d'you ain't won't shan't don’t it’s they’re painters’
wait... what?! really??? no!!! ?? ... . , ; : ! ? - --
café naïve Zürich Édouard Manet's Dürer 東京 привет Hokusai (北斎)
DON'T Cannot IT'S O'Brien d'Orsay l'art can't've who's that'll hasn't 's
her—and she--he a–b word - word word- 1660–1670 1660-1670 5-6
hello,world hello;world hello:world "quoted" 'single' (parens) [brackets]
e.g., i.e., U.S.-based U.K. etc., etc.). "Yes." 'No.' (Yes.) Yes.) yes.” yes.’
100% 50 % $1.50 5$ (1890) (12.5) -5 +3 c.1890 c. 1890 18th-19th x-ray 2nd
a* *b* a~b a^b a=b a+b a|b <3 > < ♥ ★ © ® ™ • · ° × ÷ ± § ¶
co-operate semi-nude two- and three-storey T-shirt James's Jesus' boys'
A.M. A.D. B.C. 5 p.m. Then No. 5 no. 5 No. Nos. 5 fig. 4 figs. 2 p. 12, vol. 3 ca. 1500 ca. late
1990's 90's 6.5 .5 5. 1. 2) a) 1st.
...and ...then the end... The end…
St. George and St. Jerome. Mt. Fuji. Mme. X. So do I. A man, etc. The end.
The colour of the grey theatre is centred; neighbours favour jewellery.
'Tis 'Twas 'the 'hello' the dogs' bowl
Sat. Sun. Mon. Jan. May. Ill. Mass. ill. mass. Inc. Ltd.

.
?!
sfumato. Chiaroscuro? Really!" she said. "It is," he said.
  two   spaces\tand a tab  
it's   the artist's   "own" view -- isn't it?
i ca n't tell , it 's a garden of roses that do N'T fade""".split("\n")

SETS = {
    "answers": [
        ("Warm browns lead, with a little grey in the sky.",
         ["Browns lead. The sky is grey, and nothing is bright.", "Warm brown leads; grey is second."]),
        ("A man in a black coat stands by the window, and he isn't looking at us.",
         ["A man stands at a window in a black coat. He does not look at us.",
          "The man by the window wears black; he's looking away.",
          "One figure: a man, dressed in black, who looks out of the window."]),
        ("The painting painting painting painting is is dark dark dark.",
         ["The painting is dark.", "Dark tones dominate the painting."]),
        ("There are two dogs, a cat, and three well-dressed children.",
         ["Three children, well dressed, play with two dogs and a cat on the lawn."]),
        ("The trees are leaning and the clouds rolled past the hills quickly.",
         ["Trees lean, clouds roll past the hill, and everything moves quickly.",
          "A leaning tree under rolling clouds."]),
    ],
    "edges": [
        ("", ["A quiet room.", "Nothing moves in it."]),
        ("Red", ["Red"]),
        ("red", ["A red field.", "Red."]),
        ("... ?! --", ["It is empty."]),
        ("Édouard Manet's café, à la mode: “naïve” — 北斎", ["Manet's cafe is naive.", "Édouard Manet painted a café."]),
        ("the the the the the the the", ["The cat is on the mat.", "There is a cat on the mat, the old one."]),
        ("A long sentence that says the same thing twice, a long sentence that says the same thing twice.",
         ["A long sentence that says the same thing twice."]),
        ("It was painted in 1660-1670 for $1,000.50.", ["He painted it in 1660 for $ 1,000.50", "Nobody knows."]),
    ],
    "feelings": [
        ("the waves look like they will swallow the boat which is frightening",
         ["the stormy sea frightens me the waves look like teeth",
          "dark waves make the sailors boat seem tiny and helpless"]),
        ("the garden of roses is calm and peaceful",
         ["a calm garden full of roses it 's soothing",
          "the roses remind me of my grandmother 's garden",
          "soft pinks and greens give a peaceful feeling"]),
        ("red and blue shapes make a fun pattern i think",
         ["i ca n't tell what these shapes are but the colors are fun",
          "geometric forms in red and blue create energy"]),
        ("his tired eyes make me sad and lonely",
         ["the old man 's weary eyes make me feel sad and a bit lonely"]),
        ("the abstract lines look like music and make me confused",
         ["the lines and colors make no sense and i feel confused",
          "bold abstract lines look like a city at night",
          "it reminds me of jazz music"]),
    ],
    "one": [("The man looks at the dog.", ["A man is looking at a dog.", "The man looks at his dog."])],
    "same": [("The sea is calm.", ["The sea is calm."]), ("Two ships sail.", ["Two ships sail."])],
    "many": [
        ("A woman with a fan sits in a garden with her child and with a small dog.",
         ["A woman sits in a garden.", "She holds a fan.", "Her child plays with a small dog.",
          "In a garden sits a woman with a fan, and a dog sits with her.", "A garden scene.",
          "The woman has a fan and the child has a dog and the dog has a ball.", "Women, children, dogs.",
          "Sitting in the garden, she fans herself."]),
        ("The boats sail to the left and to the right and to the harbour of the town.",
         ["To the left sail the boats, and to the right lies the harbour of the town.",
          "The boats of the town sail to the harbour to the right and to the left."]),
        ("He paints painted paintings as painters paint.",
         ["Painters painting a painting.", "The painter paints, and he painted paintings."]),
    ],
}


class MeteorStem(meteor.Meteor):
    """METEOR with exact and stemmed matches."""

    def __init__(self):
        super().__init__()
        self.meteor_p.kill()
        command = self.meteor_cmd + ["-m", "exact stem"]
        folder = Path(meteor.__file__).parent
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        self.meteor_p = subprocess.Popen(command, cwd=folder, **pipes)


def tokenize(texts):
    words = PTBTokenizer().tokenize({i: [{"caption": t}] for i, t in enumerate(texts)})
    return [words[i][0] for i in range(len(texts))]


def metrics(items):
    flat = tokenize([t for candidate, references in items for t in [candidate, *references]])
    res, gts = {}, {}
    for i, (_, references) in enumerate(items):
        count = 1 + len(references)
        res[i], gts[i], flat = [flat[0]], flat[1:count], flat[count:]
    bleu, bleu_items = Bleu(4).compute_score(gts, res, verbose=0)
    rouge, rouge_items = Rouge().compute_score(gts, res)
    cider, cider_items = Cider().compute_score(gts, res)
    score, items_ = MeteorStem().compute_score(gts, res)
    return {
        "bleu": bleu, "bleu_items": bleu_items,
        "rouge_l": float(rouge), "rouge_l_items": list(map(float, rouge_items)),
        "cider_d": float(cider), "cider_d_items": list(map(float, cider_items)),
        "meteor_es": score, "meteor_es_items": items_,
    }


def main():
    tokens = [{"text": text, "tokens": words.split()} for text, words in zip(TEXTS, tokenize(TEXTS))]
    sets = [
        {"name": name, "items": [{"candidate": c, "references": r} for c, r in items], **metrics(items)}
        for name, items in SETS.items()
    ]
    path = Path(__file__).with_name("captions.json")
    path.write_text(json.dumps({"tokens": tokens, "sets": sets}, ensure_ascii=False, indent=1) + "\n")


main()
