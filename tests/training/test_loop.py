"""The one training loop: it learns, resumes bit for bit, and accumulates parts of a batch."""

import json
import math
import signal
import threading
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from accelerate import Accelerator
from hypothesis import given
from hypothesis import strategies as st
from torch.optim.optimizer import register_optimizer_step_pre_hook

from tests.makers.loops import bert, loop, rows, same
from tinybert_lite.method.objectives import Intermediate, Labels, Prediction
from tinybert_lite.stages.settings import Training
from tinybert_lite.system.command import stop_requests
from tinybert_lite.system.errors import UserError
from tinybert_lite.training.history import History, read_history, stuck
from tinybert_lite.training.prefetch import ahead, ready
from tinybert_lite.training.schedule import schedule

# Learning


@pytest.mark.parametrize("kind", ["labels", "intermediate", "prediction"])
def test_one_batch_overfits(kind):
    student = bert(1, dropout=0, num_labels=2, projection="per_layer", teacher_width=24)
    teacher = bert(2, layers=4, width=24, num_labels=2)
    objective = {
        "labels": Labels(),
        "intermediate": Intermediate(student, teacher),
        "prediction": Prediction(teacher),
    }[kind]
    batch = rows(8).batch(range(8))
    with torch.no_grad():
        before = sum(objective(student.eval(), batch).values())
        logits = teacher.eval()(batch, logits=True).logits
    floor = (
        float(torch.distributions.Categorical(logits=logits).entropy().mean())
        if kind == "prediction"
        else 0.0
    )
    loop(
        student,
        objective,
        Training(learning_rate=1e-2, num_train_epochs=90, train_batch_size=8),
        examples=rows(8),
    ).run()
    with torch.no_grad():
        after = sum(objective(student.eval(), batch).values())
    assert 0 <= after - floor < 0.1 * (before - floor)


def test_the_teacher_stays_as_it_was():
    student, teacher = bert(1, num_labels=2), bert(2, num_labels=2)
    before = {name: tensor.clone() for name, tensor in teacher.state_dict().items()}
    loop(student, Prediction(teacher), Training(learning_rate=1e-2, num_train_epochs=1)).run()
    assert all(torch.equal(tensor, before[name]) for name, tensor in teacher.state_dict().items())
    assert not same(student, bert(1, num_labels=2))


# Parts of a batch


@pytest.mark.parametrize("kind", ["labels", "intermediate"])
@pytest.mark.parametrize("parts", [2, 4, 100])
def test_accumulated_parts_give_what_the_whole_batch_gives(kind, parts):
    """15 rows of many lengths in batches of 8 and 7, whole or in parts of unequal sizes."""
    trained, logged = [], []
    for steps in (1, parts):
        student, teacher = (
            bert(1, dropout=0, num_labels=2, projection="shared", teacher_width=24),
            bert(2, layers=4, width=24),
        )
        settings = Training(
            learning_rate=1e-3,
            num_train_epochs=2,
            train_batch_size=8,
            gradient_accumulation_steps=steps,
        )
        result = loop(
            student, Labels() if kind == "labels" else Intermediate(student, teacher), settings
        ).run()
        trained.append(student)
        logged.append(result.last_terms)
    assert result.steps == 4
    assert logged[0] == pytest.approx(logged[1], rel=1e-4)
    for a, b in zip(*(model.parameters() for model in trained)):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-5)


# Stop and go on


class Cut(Exception):
    pass


def training(folder, cut_at=None, cut_in="evaluate", seed=5, identity="me"):
    """Three epochs of 4 steps with dropout, an evaluation every 3 steps, saved every 2."""
    student, teacher = (
        bert(1, num_labels=2, projection="per_layer", teacher_width=24),
        bert(2, layers=4, width=24),
    )
    calls = []

    def call(what, answer=None):
        def called(*args):
            calls.append(what)
            if what == cut_in and calls.count(what) == cut_at:
                raise Cut
            return answer(*args) if answer else None

        return called

    def evaluate(model):
        model.eval()
        torch.rand(7)  # a careless evaluation: draws, and leaves the model in eval mode
        return {
            "accuracy": float(model.body.embeddings.word_embeddings.weight.detach().sum())
        }  # the first one is the best

    torch.manual_seed(seed)
    settings = Training(
        learning_rate=1e-2, num_train_epochs=3, train_batch_size=4, eval_step=3, save_every=2
    )
    run = loop(
        student,
        Intermediate(student, teacher),
        settings,
        folder,
        identity=identity,
        metric="accuracy",
        evaluate=call("evaluate", evaluate),
        on_epoch=call("on_epoch"),
        on_best=call("on_best"),
        say=call("say"),
    )
    return student, run


@pytest.mark.parametrize(
    "cut_in, cut_at, saved",
    [
        ("evaluate", 1, 2),
        ("evaluate", 2, 2),
        ("evaluate", 3, 4),
        ("evaluate", 6, 10),
        ("on_epoch", 1, 2),
        ("on_epoch", 2, 6),
        ("on_epoch", 3, 10),
        ("say", 4, 6),
    ],
)
def test_a_run_that_was_cut_goes_on_bit_for_bit(tmp_path, cut_in, cut_at, saved):
    for name in ("alone", "cut"):
        (tmp_path / name).mkdir()
    alone, run = training(tmp_path / "alone")
    expected = run.run()
    _, run = training(tmp_path / "cut", cut_at, cut_in)
    with pytest.raises(Cut):
        run.run()
    with open(tmp_path / "cut" / "history.jsonl", "a") as file:
        file.write('{"step": 1')  # cut off in the middle of a line
    again, run = training(tmp_path / "cut", seed=9)  # other random numbers, of no consequence
    found = run.run()
    assert (found.resumed_from, found.steps) == (saved, expected.steps) == (saved, 12)
    assert same(again, alone)
    first = next(
        event["dev"]["accuracy"]
        for event in read_history(tmp_path / "alone" / "history.jsonl")
        if "dev" in event
    )
    assert (
        found.best_score == expected.best_score == first and found.last_terms == expected.last_terms
    )
    assert (tmp_path / "cut" / "history.jsonl").read_text() == (
        tmp_path / "alone" / "history.jsonl"
    ).read_text()
    assert sorted(path.name for path in (tmp_path / "cut").iterdir()) == [
        "checkpoint-10.pt",
        "checkpoint-12.pt",
        "history.jsonl",
    ]
    _, run = training(
        tmp_path / "cut", seed=3
    )  # cut after its last step, before the stage was finished
    found = run.run()
    assert (found.resumed_from, found.steps, found.last_terms, found.best_score) == (
        12,
        12,
        expected.last_terms,
        expected.best_score,
    )


def test_a_run_cut_twice_goes_on_bit_for_bit(tmp_path):
    (tmp_path / "alone").mkdir()
    alone, run = training(tmp_path / "alone")
    run.run()
    for seed, cut_at in ((5, 2), (6, 3)):
        with pytest.raises(Cut):
            training(tmp_path, cut_at, seed=seed)[1].run()
    again, run = training(tmp_path, seed=7)
    assert run.run().resumed_from == 4 and same(again, alone)


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    "spoil, names, saved",
    [
        (flip, ["checkpoint-6.pt"], 4),
        (lambda path: path.write_bytes(path.read_bytes()[:1000]), ["checkpoint-6.pt"], 4),
        (lambda path: path.write_bytes(b""), ["checkpoint-6.pt", "checkpoint-4.pt"], 0),
        (Path.unlink, ["checkpoint-6.pt"], 4),
    ],
)
def test_a_damaged_state_is_named_and_the_one_before_it_used(tmp_path, spoil, names, saved):
    (tmp_path / "alone").mkdir()
    alone, run = training(tmp_path / "alone")
    run.run()
    with pytest.raises(Cut):
        training(tmp_path, cut_at=4)[1].run()
    said = []
    for name in names:
        spoil(tmp_path / name)
    again, run = training(tmp_path)
    run.say = said.append
    assert run.run().resumed_from == saved and same(again, alone)
    assert [line.split(" is damaged")[0] for line in said if "damaged" in line] == [
        str(tmp_path / name) for name in names if spoil != Path.unlink
    ]


@pytest.mark.parametrize("keep", [1, 3])
def test_so_many_states_are_kept_as_asked_for(tmp_path, keep):
    _, run = training(tmp_path)
    run.settings = replace(run.settings, keep_last=keep)
    run.run()
    assert (
        sorted(int(path.stem.split("-")[1]) for path in tmp_path.glob("checkpoint-*.pt"))
        == [8, 10, 12][-keep:]
    )


@pytest.mark.parametrize(
    "losses, found",
    [
        ([2.0] * 20 + [1.0] * 20, ""),
        ([1.0] * 20 + [2.0] * 20, "the loss has not decreased: 1 at the start, 2 at the end"),
        ([1.5] * 40, "the loss has not decreased: 1.5 at the start, 1.5 at the end"),
        ([1.0] * 10 + [2.0] * 10, ""),
    ],
)
def test_a_loss_that_does_not_fall_is_named(losses, found):
    assert (
        stuck([{"step": i, "loss": loss} for i, loss in enumerate(losses)] + [{"dev": {}}]) == found
    )


@pytest.mark.parametrize("finished", [False, True])
def test_a_training_that_learns_nothing_says_so_unless_the_model_was_finished_before(
    tmp_path, finished
):
    student, said = bert(1, num_labels=2), []
    settings = Training(
        learning_rate=1e-12, num_train_epochs=20, train_batch_size=8, schedule="constant"
    )
    loop(student, Labels(), settings, tmp_path, say=said.append, finished=finished).run()
    assert any("warning: training: the loss has not decreased" in line for line in said) != finished


def test_another_runs_state_is_left_alone(tmp_path):
    with pytest.raises(Cut):
        training(tmp_path, cut_at=3)[1].run()
    assert training(tmp_path, identity="other")[1].run().resumed_from == 0
    steps = [event["step"] for event in read_history(tmp_path / "history.jsonl") if "loss" in event]
    assert steps == list(range(1, 13))


def test_ctrl_c_ends_the_step_saves_and_stops(tmp_path):
    (tmp_path / "alone").mkdir()
    alone, run = training(tmp_path / "alone")
    run.run()
    said, handler = [], signal.getsignal(signal.SIGINT)
    _, run = training(tmp_path)
    step = run._step

    def interrupted(*args):
        if run._done == 6:
            signal.raise_signal(signal.SIGINT)
        return step(*args)

    run._step, run.say = interrupted, said.append
    with pytest.raises(KeyboardInterrupt):
        run.run()
    assert "stopped after step 7 of 12" in said[-1] and signal.getsignal(signal.SIGINT) is handler
    again, run = training(tmp_path)
    assert run.run().resumed_from == 7 and same(again, alone)


def test_a_second_ctrl_c_does_not_wait_for_the_step():
    with stop_requests() as asked:
        assert not asked()
        signal.raise_signal(signal.SIGINT)
        assert asked()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("where", ["loss", "gradient"])
def test_a_number_that_is_not_finite_stops_with_step_rows_and_the_last_good_state(tmp_path, where):
    _, run = training(tmp_path)
    objective = run.objective

    class Poisoned:
        teacher, sizes = objective.teacher, objective.sizes

        def __call__(self, student, batch, sizes):
            terms = objective(student, batch, sizes)
            if run._done == 4:
                name = next(iter(terms))
                zero = terms[name] - terms[name].detach()
                terms[name] = terms[name] + (
                    zero.sqrt() if where == "gradient" else torch.nan
                )  # a root's slope at 0 is infinite
            return terms

    run.objective = Poisoned()
    with pytest.raises(
        UserError,
        match=rf"{where}.* at step 5, on rows [\d, ]+.*; the last saved state is checkpoint-4.pt; "
        "lower the learning rate",
    ):
        run.run()


def test_a_half_written_line_of_history_is_left_out(tmp_path):
    path = tmp_path / "history.jsonl"
    history = History(path)
    for step in (1, 2, 3):
        history.add(step=step)
    with open(path, "a") as file:
        file.write('{"step": 4, "lo')
    assert [event["step"] for event in read_history(path)] == [1, 2, 3]
    again = History(path, lines=2)
    again.add(step=7)
    assert again.lines == 3 and [event["step"] for event in read_history(path)] == [1, 2, 7]
    assert read_history(tmp_path / "none.jsonl") == []


# Steps, epochs and evaluations


@pytest.mark.parametrize(
    "epochs, most, steps", [(1, 0, 4), (3, 0, 12), (1.5, 0, 6), (0.1, 0, 1), (3, 5, 5), (1, 99, 4)]
)
def test_steps_epochs_and_their_ends(epochs, most, steps):
    """15 rows in batches of 4: four steps an epoch, the last partial batch among them."""
    seen, evaluated, ended = [], [], []
    run = loop(
        bert(1, num_labels=2),
        Labels(),
        Training(num_train_epochs=epochs, max_steps=most, train_batch_size=4),
        metric="score",
        evaluate=lambda model: evaluated.append(run._done) or {"score": -1.0},
        on_best=lambda model, scores: seen.append(scores),
        on_epoch=lambda model, n: ended.append((n, run._done)),
    )
    result = run.run()
    assert result.steps == steps
    expected = [(n + 1, min(4 * (n + 1), steps)) for n in range(math.ceil(steps / 4))]
    assert ended == expected and evaluated == [step for _, step in expected]
    assert seen == [{"score": -1.0}] and result.best_score == -1.0


def test_the_best_is_kept_whatever_its_sign():
    scores, kept = iter([-0.5, -0.2, -0.3, -0.2]), []
    result = loop(
        bert(1, num_labels=2),
        Labels(),
        Training(num_train_epochs=4),
        metric="score",
        evaluate=lambda model: {"score": next(scores), "other": 1.0},
        on_best=lambda model, found: kept.append(found["score"]),
    ).run()
    assert kept == [-0.5, -0.2] and result.best_score == -0.2


def test_training_goes_on_in_training_mode_after_an_evaluation(tmp_path):
    modes = []

    class Watched(Labels):
        def __call__(self, student, batch, sizes=None):
            modes.append(student.training)
            return super().__call__(student, batch, sizes)

    loop(
        bert(1, num_labels=2).eval(),
        Watched(),
        Training(num_train_epochs=2, eval_step=1),
        metric="s",
        evaluate=lambda model: model.eval() and {"s": 0.0},
    ).run()
    assert modes == [True, True]


def test_an_evaluation_leaves_no_trace_in_the_weights():
    """Though it draws random numbers and leaves the model in eval mode."""

    def trained(**more):
        model = bert(1, num_labels=2)
        torch.manual_seed(4)
        loop(
            model,
            Labels(),
            Training(learning_rate=1e-2, num_train_epochs=2, train_batch_size=4, eval_step=1),
            metric="s",
            **more,
        ).run()
        return model

    assert same(
        trained(),
        trained(evaluate=lambda model: {"s": float(torch.rand(5).sum() + model.eval().layers)}),
    )


def test_every_step_is_logged_with_its_terms_and_their_sum(tmp_path):
    student, teacher = bert(1, projection="shared", teacher_width=24), bert(2, layers=4, width=24)
    result = loop(
        student,
        Intermediate(student, teacher),
        Training(num_train_epochs=1, train_batch_size=4),
        tmp_path,
    ).run()
    events = [json.loads(line) for line in (tmp_path / "history.jsonl").read_text().splitlines()]
    assert [event["step"] for event in events] == [1, 2, 3, 4]
    names = {"attention/1", "attention/2", "hidden/0", "hidden/1", "hidden/2"}
    for event in events:
        assert set(event) == names | {"step", "lr", "loss", "grad_norm"}
        assert event["loss"] == pytest.approx(sum(event[name] for name in names), rel=1e-6)
    assert result.last_terms == {name: events[-1][name] for name in names}


# The optimizer


def test_schedule_by_hand():
    linear = Training(warmup_proportion=0.2)
    assert [schedule(linear, step, 10) for step in range(10)] == pytest.approx(
        [1 / 3, 2 / 3, 1, 7 / 8, 6 / 8, 5 / 8, 4 / 8, 3 / 8, 2 / 8, 1 / 8]
    )
    assert [schedule(Training(warmup_proportion=0), step, 4) for step in range(4)] == [
        1,
        0.75,
        0.5,
        0.25,
    ]
    assert [schedule(Training(schedule="constant"), step, 4) for step in range(4)] == [1, 1, 1, 1]


@given(st.integers(1, 60), st.floats(0, 1))
def test_the_learning_rate_climbs_falls_and_is_never_nothing(total, proportion):
    factors = [
        schedule(Training(warmup_proportion=proportion), step, total) for step in range(total)
    ]
    assert all(0 < factor <= 1 for factor in factors)
    peak = factors.index(max(factors))
    assert factors == sorted(factors[: peak + 1]) + sorted(factors[peak + 1 :], reverse=True)
    assert abs(peak - proportion * total) <= 1


def spy(settings, scale=1.0):
    """Train; the optimizer's parameter groups and the gradient's norm before each step."""

    class Scaled(Labels):
        def __call__(self, *args):
            return {name: scale * value for name, value in super().__call__(*args).items()}

    model, seen = bert(1, num_labels=2), []

    def before_step(optimizer, args, kwargs):
        grads = [
            p.grad
            for group in optimizer.param_groups
            for p in group["params"]
            if p.grad is not None
        ]
        seen.append(
            (
                optimizer,
                [{**group} for group in optimizer.param_groups],
                float(torch.stack([g.norm() for g in grads]).norm()),
            )
        )

    handle = register_optimizer_step_pre_hook(before_step)
    try:
        loop(model, Scaled(), settings).run()
    finally:
        handle.remove()
    return model, seen


def test_decay_is_for_matrices_and_not_for_biases_and_layer_norms():
    model, seen = spy(Training(weight_decay=0.07, num_train_epochs=1))
    optimizer, groups, _ = seen[0]
    assert (
        isinstance(optimizer, torch.optim.AdamW)
        and groups[0]["eps"] == 1e-6
        and groups[0]["betas"] == (0.9, 0.999)
    )
    decay = {id(p): group["weight_decay"] for group in groups for p in group["params"]}
    for name, parameter in model.named_parameters():
        assert decay.pop(id(parameter)) == (
            0.0 if name.endswith("bias") or "LayerNorm" in name else 0.07
        ), name
    assert not decay


def test_the_scheduled_rate_reaches_the_optimizer():
    _, seen = spy(
        Training(learning_rate=0.1, warmup_proportion=0, num_train_epochs=1, train_batch_size=4)
    )
    assert [[group["lr"] for group in groups] for _, groups, _ in seen] == [
        pytest.approx([x, x]) for x in (0.1, 0.075, 0.05, 0.025)
    ]


def test_the_gradients_norm_is_clipped():
    _, seen = spy(Training(num_train_epochs=1, max_grad_norm=0.5), scale=1e4)
    assert seen[0][2] == pytest.approx(0.5, rel=1e-3)
    _, seen = spy(Training(num_train_epochs=1, max_grad_norm=0.5), scale=1e-4)
    assert seen[0][2] < 0.1


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_stops_the_run_before_the_weights_change(value):
    class Broken(Labels):
        def __call__(self, student, batch, sizes=None):
            return {
                name: loss * value for name, loss in super().__call__(student, batch, sizes).items()
            }

    model = bert(1, num_labels=2)
    with pytest.raises(
        UserError,
        match="lessons: the loss became (nan|inf) at step 1, on rows .*no state was saved before; "
        "lower the learning rate",
    ):
        loop(model, Broken(), Training(), label="lessons").run()
    assert same(model, bert(1, num_labels=2))


def test_the_same_seed_gives_the_same_weights():
    def trained(seed):
        model = bert(1, num_labels=2)
        torch.manual_seed(seed)
        loop(model, Labels(), Training(learning_rate=1e-2, num_train_epochs=2)).run()
        return model

    assert same(trained(4), trained(4)) and not same(trained(4), trained(5))


# Batches made ahead


def test_items_are_made_at_most_two_ahead_in_order():
    made = []

    def items():
        for number in range(6):
            made.append(number)
            yield number

    for number, item in enumerate(ahead(items())):
        assert item == number and len(made) <= number + 3
    assert made == list(range(6)) and list(ahead(iter(()))) == []


def test_a_mistake_in_making_a_batch_arrives_where_it_is_used():
    def items():
        yield 1
        raise UserError("a broken batch")

    found = ahead(items())
    assert next(found) == 1
    with pytest.raises(UserError, match="a broken batch"):
        next(found)


# Batches that do not let a GPU wait


@pytest.mark.parametrize("pin", [False, True])
def test_a_batch_is_pinned_for_a_gpu_only(pin, monkeypatch):
    pinned = {}
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda x: pinned.setdefault(id(x), x.clone()))
    batch = rows(4).batch(range(4))
    found = ready(batch, pin)
    assert {*found} - {*batch} == {"padded"} and len(pinned) == pin * len(batch)
    for name, tensor in batch.items():
        assert torch.equal(found[name], tensor) and (found[name] is tensor) != pin


def test_the_loop_pins_its_batches_where_it_trains_on_a_gpu(monkeypatch):
    pinned = []
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda x: pinned.append(x) or x)
    run = loop(bert(1, num_labels=2), Labels(), Training(train_batch_size=2))
    run._parts(rows(4), [0, 1])
    assert not pinned
    run.accelerator = SimpleNamespace(device=torch.device("cuda"), process_index=0, num_processes=1)
    _, (batch,) = run._parts(rows(4), [0, 1])
    assert len(pinned) == len(batch) - 1


def test_the_loop_says_whether_a_batch_is_padded(monkeypatch):
    """And the models do not ask their device, which they do for a batch that does not say it."""
    said = []

    class Listening(Labels):
        def __call__(self, student, batch, sizes=None):
            said.append((batch["padded"], bool((batch["attention_mask"] == 0).any())))
            return super().__call__(student, batch, sizes)

    model = bert(1, num_labels=2)
    settings = Training(num_train_epochs=1, train_batch_size=2)
    expected = loop(model, Labels(), settings).run().last_terms
    asked = []
    ask = torch.Tensor.all
    model = bert(1, num_labels=2)
    with monkeypatch.context() as patch:
        patch.setattr(
            torch.Tensor, "all", lambda x: asked.append(threading.current_thread()) or ask(x)
        )
        assert loop(model, Listening(), settings).run().last_terms == expected
        assert {*said} == {(False, False), (True, True)}
        assert len(asked) == len(said) and threading.main_thread() not in asked
        model(rows(4).batch(range(4)))
        assert threading.main_thread() in asked


# fp16: the loss is scaled, and a step that overflows is left out


def scaled(first_scale):
    """An Accelerator on the CPU with the loss scaling it has for fp16 on a GPU."""
    accelerator = Accelerator(cpu=True)
    accelerator.state._mixed_precision, accelerator.native_amp = "fp16", True
    accelerator.scaler = torch.amp.GradScaler("cpu", init_scale=first_scale, growth_interval=1000)
    accelerator.autocast = lambda *_: torch.autocast("cpu", enabled=False)
    return accelerator


@pytest.fixture
def as_it_was():
    yield
    Accelerator(cpu=True).state._mixed_precision = "no"


def test_training_in_fp16_goes_the_way_of_float32(as_it_was, tmp_path):
    """Losses and lengths of gradients, which are clipped and noted without the scale."""
    settings = Training(learning_rate=1e-3, num_train_epochs=2, train_batch_size=4)
    for name, accelerator in (("float32", Accelerator(cpu=True)), ("fp16", scaled(2.0**16))):
        loop(
            bert(1, dropout=0, num_labels=2),
            Labels(),
            settings,
            tmp_path / name,
            accelerator=accelerator,
        ).run()
    one, two = (read_history(tmp_path / name / "history.jsonl") for name in ("float32", "fp16"))
    assert len(one) == 8 and one != two
    for wanted, found in zip(one, two, strict=True):
        assert found == pytest.approx(wanted, rel=1e-2)


def test_a_step_that_overflows_is_left_out_and_the_scale_halved(as_it_was, tmp_path):
    model, accelerator = bert(1, dropout=0, num_labels=2), scaled(2.0**127)
    before = [p.detach().clone() for p in model.parameters()]
    loop(
        model,
        Labels(),
        Training(num_train_epochs=1, train_batch_size=15),
        tmp_path,
        accelerator=accelerator,
    ).run()
    assert (
        all(torch.equal(p, was) for p, was in zip(model.parameters(), before, strict=True))
        and accelerator.scaler.get_scale() == 2.0**126
    )
    assert "grad_norm" not in read_history(tmp_path / "history.jsonl")[0]


def test_a_loss_that_overflows_at_every_scale_is_named(as_it_was):
    model = bert(1, dropout=0, num_labels=2)
    with torch.no_grad():
        model.output_layer.weight.fill_(float("nan"))
    with pytest.raises(UserError, match="the loss became nan at step 1"):
        loop(
            model,
            Labels(),
            Training(num_train_epochs=1, train_batch_size=15),
            accelerator=scaled(2.0**16),
        ).run()


def test_the_scale_is_saved_and_goes_on(as_it_was, tmp_path):
    settings = Training(num_train_epochs=2, train_batch_size=15, save_every=1)
    loop(
        bert(1, dropout=0, num_labels=2),
        Labels(),
        replace(settings, max_steps=1),
        tmp_path,
        accelerator=scaled(2.0**127),
    ).run()
    second = scaled(2.0**16)
    assert (
        loop(bert(1, dropout=0, num_labels=2), Labels(), settings, tmp_path, accelerator=second)
        .run()
        .resumed_from
        == 1
    )
    assert second.scaler.get_scale() == 2.0**125
