"""Layer mapping g(m), section 3.1: the teacher layer that each student layer learns from."""

from tinybert_lite.system.errors import UserError


def layer_mapping(mapping: str, student_layers: int, teacher_layers: int) -> list[int]:
    """Return [g(0), …, g(M)]: layers count from 1, 0 is the embedding output, and g(0) = 0.

    uniform: g(m) = m·N/M, the paper's choice · top: g(m) = m + N − M · bottom: g(m) = m (Table 4).
    Ours: also a list of M layers such as "3,6,9,12", or of M + 1 layers that starts with g(0).
    The prediction layer, g(M + 1) = N + 1, is `objectives.Prediction`.
    Raises UserError for a mapping that does not fit M student layers and N teacher layers.
    """
    M, N = student_layers, teacher_layers
    if M > N:
        raise UserError(
            f"the student has {M} layers, more than the teacher's {N}: use a smaller student"
        )
    if mapping == "uniform":
        if N % M:
            nearest = ",".join(str(round(m * N / M)) for m in range(1, M + 1))
            raise UserError(
                f"a uniform mapping needs the teacher's layers ({N}) to be a multiple of the "
                f"student's ({M}): choose mapping=top, bottom or a list such as {nearest}"
            )
        return [m * N // M for m in range(M + 1)]
    if mapping == "top":
        return [0, *range(N - M + 1, N + 1)]
    if mapping == "bottom":
        return list(range(M + 1))
    try:
        layers = [int(part) for part in mapping.split(",")]
    except ValueError:
        raise UserError(
            f"mapping={mapping} is unknown: use uniform, top, bottom or a list such as 3,6,9,12"
        ) from None
    layers = [0, *layers] if len(layers) == M else layers
    if len(layers) != M + 1 or not all(0 <= layer <= N for layer in layers) or 0 in layers[1:]:
        raise UserError(
            f"mapping={mapping} does not fit: give one teacher layer, from 1 to {N}, for each of "
            f"the student's layers ({M})"
        )
    return layers
