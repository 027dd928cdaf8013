"""Makes a small vocabulary as LLaMA's is made (SentencePiece BPE with byte fallback), writes it as
`tokenizer.model` and in a GGUF file, and what SentencePiece itself makes of some texts.

    pip install sentencepiece gguf
    python tests/reference/make_tokenizers.py
"""

import io
import json
import pathlib

import gguf
import sentencepiece as spm

HERE = pathlib.Path(__file__).parent
OUT = HERE / "tokenizers"
TEXTS = [
    "What is the palette of this painting?",
    " leading and  double   spaces ",
    "1888, 24.5 cm",
    "Ölgemälde: «La Joconde» – 星月夜 🎨👩‍🎨",
    "line one\nline two\n\n\ttab",
    "the the the theatre",
    "###Human: <Img> ###Assistant:",
    "</s> is text here",
    "\u2581already a mark",
    "e\u0301 and é",
    "",
    " ",
]


def model() -> bytes:
    corpus = [
        line
        for name in ("README.md", "ARCHITECTURE.md")
        for line in (HERE.parents[1] / name).read_text().splitlines()
        if line.strip()
    ]
    written = io.BytesIO()
    spm.SentencePieceTrainer.train(
        sentence_iterator=iter(corpus),
        model_writer=written,
        model_type="bpe",
        vocab_size=800,
        byte_fallback=True,
        split_digits=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        add_dummy_prefix=True,
        allow_whitespace_only_pieces=True,
        character_coverage=0.9995,
        num_threads=1,
        minloglevel=2,
    )
    return written.getvalue()


def write_gguf(path: pathlib.Path, sp: spm.SentencePieceProcessor) -> None:
    def kind(i: int) -> int:
        if sp.is_unknown(i):
            return gguf.TokenType.UNKNOWN
        if sp.is_control(i):
            return gguf.TokenType.CONTROL
        if sp.is_byte(i):
            return gguf.TokenType.BYTE
        return gguf.TokenType.NORMAL

    ids = range(sp.get_piece_size())
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_tokenizer_model("llama")
    writer.add_token_list([sp.id_to_piece(i) for i in ids])
    writer.add_token_scores([sp.get_score(i) for i in ids])
    writer.add_token_types([kind(i) for i in ids])
    writer.add_bos_token_id(sp.bos_id())
    writer.add_eos_token_id(sp.eos_id())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main() -> None:
    OUT.mkdir(exist_ok=True)
    stored = OUT / "tokenizer.model"
    # The vocabulary is made once: the documents it is made from change.
    if not stored.exists():
        stored.write_bytes(model())
    sp = spm.SentencePieceProcessor(model_file=str(stored))
    write_gguf(OUT / "vocabulary.gguf", sp)
    cases = [{"text": t, "ids": sp.encode(t), "decoded": sp.decode(sp.encode(t))} for t in TEXTS]
    (OUT / "expected.json").write_text(json.dumps(cases, ensure_ascii=False, indent=1) + "\n")


if __name__ == "__main__":
    main()
