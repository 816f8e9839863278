"""Reading: from the author's text to the nodes of `symdgm.expressions`.

A text goes through the words of ``grammar/lexical.lark``, a short list of passes over the words (one verb a
file), the rules of ``grammar/objective.lark``, and becomes nodes. Every refusal is a `GrammarError` with a
caret in the author's text; its words are in ``grammar/mistakes.toml``. May import lark and
`symdgm.expressions`; never torch.

| module | notion |
| --- | --- |
| `reading` | `parse` and `read` |
| `bounds` | how long, deep and large a text may be |
| `grammar_files` | where the grammar is, compiled once |
| `refusals` | the words of the refusals |
| `words` | what the passes share about words |
| `passes` | the passes in their order |
| `nodes` and its kin | from rules to nodes |
"""

from symdgm.parsing.reading import Reading, parse, read

__all__ = ["Reading", "parse", "read"]
