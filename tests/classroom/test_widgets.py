"""Every control changes its picture; errors are shown; without a kernel a still picture is."""

import base64
import io
import random

import ipywidgets
import numpy as np
import pytest
import torch
from IPython.core.formatters import DisplayFormatter
from matplotlib.figure import Figure
from PIL import Image

from tests.makers import make_bert_folder
from tinybert_lite import plots
from tinybert_lite.classroom import widgets
from tinybert_lite.data.tokens import encode
from tinybert_lite.data.vectors import WordVectors
from tinybert_lite.models.loading import load_with_tokenizer
from tinybert_lite.stages.data_augmentation import Augmenter
from tinybert_lite.stages.settings import Augmenting
from tinybert_lite.system.errors import UserError

LOGITS = np.array([[1.0, 0.0], [0.0, 2.0], [0.5, 0.4]])
MAPPING = [0, 2, 4]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    return (
        load_with_tokenizer(make_bert_folder(folder / "student", layers=2, heads=2, seed=1)),
        load_with_tokenizer(
            make_bert_folder(folder / "teacher", layers=4, width=32, heads=4), masked_lm=True
        ),
    )


def attention(models):
    student, teacher = models
    batch = encode(
        ["the film was good", "we saw the long dull film"], None, teacher.tokenizer, 20
    ).batch([0, 1])
    batch = {name: batch[name][:1] for name in batch}
    return widgets.attention_explorer(
        student.model,
        teacher.model,
        batch,
        teacher.tokenizer.convert_ids_to_tokens(batch["input_ids"][0]),
        MAPPING,
    ), batch


def augmentation(models):
    vectors = WordVectors(
        ["likes", "loves", "hates"], np.array([[1, 0], [1, 0.1], [1, 0.2]], dtype=np.float32)
    )
    augmenter = Augmenter(
        models[1].model,
        models[1].tokenizer,
        vectors,
        Augmenting(N=9, M=3, p=0.4, max_seq_length=20),
    )
    return widgets.augmentation_viewer(augmenter, ["the film was good", "she likes a sad story"])


MAKE = {
    "attention": (
        lambda models: attention(models)[0],
        {"layer": 1, "head": 2, "show": "probabilities"},
    ),
    "margins": (
        lambda models: widgets.margins_explorer(LOGITS, 2 * LOGITS, [0, 1, 0]),
        {"temperature": 4.0},
    ),
    "rounding": (
        lambda models: widgets.rounding_explorer(
            torch.randn(40, 40, generator=torch.Generator().manual_seed(0))
        ),
        {"bits": 4},
    ),
    "mapping": (
        lambda models: widgets.mapping_explorer(3, 6),
        {"student_layers": 2, "mapping": "top"},
    ),
    "masking": (
        lambda models: widgets.masking_viewer(
            ["[CLS]", "a", "word", "##s", "and", "more", "[SEP]"]
        ),
        {"seed": 3, "probability": 0.5, "whole_words": True},
    ),
    "augmentation": (augmentation, {"sentence": 2, "p": 1.0, "seed": 4}),
}


def picture(png):
    return np.asarray(Image.open(io.BytesIO(png)))


@pytest.mark.parametrize(
    "name, control", [(name, control) for name, (_, moves) in MAKE.items() for control in moves]
)
def test_a_control_moves_the_picture_and_back(name, control, models, capsys):
    make, moves = MAKE[name]
    explorer = make(models)
    before, was = explorer.picture.value, explorer.values[control]
    explorer.controls[control].value = moves[control]
    assert explorer.message.value == "" and explorer.values[control] == moves[control]
    assert (
        picture(before).shape != picture(explorer.picture.value).shape
        or (picture(before) != picture(explorer.picture.value)).any()
    )
    assert explorer.picture.width == str(picture(explorer.picture.value).shape[1])
    explorer.controls[control].value = was
    assert explorer.picture.value == before
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("name", MAKE)
def test_where_nothing_runs_there_is_one_picture_of_all_settings(name, models):
    explorer = MAKE[name][0](models)
    live = explorer.picture.value
    data, _ = DisplayFormatter().format(explorer)
    assert set(data) == {"text/plain", "image/png", "application/vnd.jupyter.widget-view+json"}
    assert (
        data["text/plain"].startswith("picture with controls: ") and len(data["text/plain"]) < 120
    )
    still = picture(base64.b64decode(data["image/png"]))
    tiles = []
    for setting in explorer.still:
        for control, value in setting.items():
            explorer.controls[control].value = value
        tiles.append(picture(explorer.picture.value))
    rows = -(-len(tiles) // explorer.columns)
    assert len(tiles) > 1 and still.shape[0] >= rows * min(tile.shape[0] for tile in tiles)
    assert np.array_equal(still[: tiles[0].shape[0], : tiles[0].shape[1]], tiles[0])
    assert np.array_equal(
        still[still.shape[0] - tiles[-1].shape[0] :][
            :, (explorer.columns - 1) * tiles[0].shape[1] :
        ][:, : tiles[-1].shape[1]],
        tiles[-1],
    )
    assert explorer.picture.value != live or explorer.values == MAKE[name][0](models).values


def test_a_setting_that_cannot_be_drawn_is_explained_and_its_old_picture_hidden():
    explorer = widgets.mapping_explorer(3, 6)
    explorer.controls["student_layers"].value = 4
    assert (
        "a uniform mapping needs" in explorer.message.value
        and explorer.picture.layout.display == "none"
    )
    explorer.controls["mapping"].value = "top"
    assert explorer.message.value == "" and explorer.picture.layout.display is None
    explorer.controls["mapping"].value = "uniform"
    assert (
        picture(explorer.still_picture()).shape[1] == 2 * picture(explorer.picture.value).shape[1]
    )  # of three kinds two can be drawn


def test_a_fault_in_a_callback_is_shown_not_swallowed():
    def draw(number):
        if number:
            raise ZeroDivisionError("<by zero>")
        return Figure((1, 1))

    explorer = widgets.Explorer(draw, {"number": ipywidgets.IntSlider()}, [{"number": 0}])
    assert explorer.message.value == ""
    explorer.controls["number"].value = 1
    assert "this cannot be drawn: ZeroDivisionError: &lt;by zero&gt;" in explorer.message.value


def test_only_what_moves_is_drawn_anew_and_nothing_of_the_old_remains(models):
    explorer, _ = attention(models)
    for value in (1, 2, 1):
        explorer.controls["layer"].value = value
        explorer.controls["show"].value = "probabilities" if value == 2 else "scores"
    other, _ = attention(models)
    other.controls["layer"].value = 1
    assert explorer.picture.value == other.picture.value


def test_nothing_of_another_number_of_bits_remains():
    matrix = torch.randn(5, 5, generator=torch.Generator().manual_seed(0))
    explorer, other = widgets.rounding_explorer(matrix), widgets.rounding_explorer(matrix)
    for bits in (3, 2, 5):
        explorer.controls["bits"].value = bits
    other.controls["bits"].value = 5
    assert explorer.picture.value == other.picture.value


def test_rounding_moves_every_panel_but_that_of_the_weights():
    explorer = widgets.rounding_explorer(
        torch.randn(5, 5, generator=torch.Generator().manual_seed(0))
    )
    before = picture(explorer.picture.value)
    explorer.controls["bits"].value = 3
    moved = (picture(explorer.picture.value) != before).any(-1)[60:]  # below the titles
    height, width = moved.shape
    assert [
        bool(moved[:, round(low * width) : round(high * width)].any())
        for low, high in ((0, 0.2), (0.2, 0.4), (0.4, 0.6), (0.72, 1))
    ] == [False, True, True, True]


def test_the_explorer_shows_what_the_models_compute(models):
    explorer, batch = attention(models)
    student, teacher = models
    with torch.inference_mode():
        mine = student.model.eval()(batch, scores=[1]).scores[1]
        theirs = (
            teacher.model.eval()(batch, scores=[2]).scores[2].unflatten(1, (2, 2)).mean(2)
        )  # four heads averaged in two groups
    n = int(batch["attention_mask"].sum())
    assert n < batch["attention_mask"].shape[1], "the sentence has padding"
    for show in ("scores", "probabilities"):
        figure = explorer.draw(layer=1, head=2, show=show)
        for ax, values in zip(figure.axes, (theirs, mine)):
            expected = (
                values[0, 1, :n, :n] if show == "scores" else values[0, 1, :n, :n].softmax(-1)
            )
            shown = np.ma.filled(np.ma.masked_invalid(ax.images[0].get_array()), np.nan)
            assert (
                np.allclose(shown[:n, :n], expected, atol=1e-6)
                and np.isnan(shown[n:]).all()
                and np.isnan(shown[:, n:]).all()
            )
    assert (
        figure.get_suptitle() == "student layer 1 ↔ teacher layer 2, head 2"
        and figure.axes[3].get_title(loc="left") == "attention\nprobabilities"
    )


def test_models_come_back_in_the_mode_they_were_in(models):
    student, teacher = (each.model for each in models)
    student.train(), teacher.eval()
    attention(models)
    assert student.training and not teacher.training


def test_the_viewer_leaves_the_augmenter_as_it_was(models):
    vectors = WordVectors(["likes", "loves"], np.array([[1, 0], [1, 0.1]], dtype=np.float32))
    settings = Augmenting(N=9, M=3, p=0.4, max_seq_length=20)
    augmenter = Augmenter(models[1].model, models[1].tokenizer, vectors, settings)
    explorer = widgets.augmentation_viewer(augmenter, ["the film was good"], variants=2)
    explorer.controls["p"].value = 1.0
    assert augmenter.settings is settings
    text = "the film was good".split()
    (candidates,) = augmenter.candidates([text])
    augmenter.settings = Augmenting(N=2, M=3, p=1.0, max_seq_length=20)
    shown = [each.get_text() for each in explorer.draw(sentence=1, p=1.0, seed=5).axes[0].texts]
    for variant in augmenter.variants(text, candidates, random.Random(5)):
        assert set(variant.split()) <= set(shown)
    assert plots.sources(augmenter, ["good", "likes", "the"]) == {0: "masked LM", 1: "word vectors"}


def test_margins_of_three_classes_are_refused():
    with pytest.raises(UserError, match="two classes"):
        widgets.margins_explorer(np.eye(3), np.eye(3), [0, 1, 2])
