"""The families of encoders whose layers can be matched, and the families of their students.

docs/families.md says what works with which family, and how it was tried.
"""

# transformers hands each layer's queries and keys to our attention function.
WITH_SCORES = (
    "bert",
    "roberta",
    "xlm-roberta",
    "electra",
    "camembert",
    "ernie",
    "distilbert",
    "modernbert",
    "albert",
    "nomic_bert",
    "mobilebert",
    "xlm-roberta-xl",
    "roberta-prelayernorm",
    "data2vec-text",
    "jina_embeddings_v3",
    "bert-generation",
)
# They compute their attention themselves: only hidden states and the prediction layer are matched.
WITHOUT_SCORES = ("mpnet", "deberta-v2", "roformer", "megatron-bert")
MATCHED_FAMILIES = (*WITH_SCORES, *WITHOUT_SCORES)
# Their students are BERTs with the teacher's tokenizer: layers that share their weights (albert),
# bottlenecks of fixed widths (mobilebert), adapters (jina), no classifier (bert-generation), or
# attention whose scores nobody can match.
STUDENT_IS_BERT = ("albert", "mobilebert", "jina_embeddings_v3", "bert-generation", *WITHOUT_SCORES)

# What a student takes over from a teacher of any family: facts of the vocabulary.
VOCABULARY_FIELDS = ("vocab_size", "pad_token_id", "bos_token_id", "eos_token_id")


def student_family(teacher: str) -> str:
    """The model_type of a derived student, from that of its teacher."""
    return "bert" if teacher in STUDENT_IS_BERT else teacher
