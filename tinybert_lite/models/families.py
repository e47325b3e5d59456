"""The families of encoders whose layers can be matched, and the families of their students.

docs/families.md says what works with which family, and how it is tested.
"""

# transformers passes each layer's queries and keys to our attention function.
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
# Their attention scores cannot be read: stages 3 and 4 match hidden states only.
WITHOUT_SCORES = ("mpnet", "deberta-v2", "roformer", "megatron-bert")
MATCHED_FAMILIES = (*WITH_SCORES, *WITHOUT_SCORES)
# Families whose student is a BERT with the teacher's tokenizer, since they have layers that share
# weights (albert), bottlenecks of fixed widths (mobilebert), adapters (jina), no classifier
# (bert-generation), or attention scores that cannot be read.
STUDENT_IS_BERT = ("albert", "mobilebert", "jina_embeddings_v3", "bert-generation", *WITHOUT_SCORES)

# Fields that a student of any family copies from its teacher, since they describe the vocabulary
VOCABULARY_FIELDS = ("vocab_size", "pad_token_id", "bos_token_id", "eos_token_id")


def student_family(teacher: str) -> str:
    """Return the model_type of a student derived from a teacher of this model_type."""
    return "bert" if teacher in STUDENT_IS_BERT else teacher
