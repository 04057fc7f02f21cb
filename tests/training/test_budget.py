"""A time to keep, several seeds, a search: what is chosen, kept when killed, and told."""

import json
import shutil
import statistics
from pathlib import Path

import pytest

import processes
from nearer.core.durations import seconds_of
from nearer.core.errors import InputError, RecipeError
from nearer.core.progress import OutOfTime, Silent
from nearer.core.recipe import Recipe
from nearer.core.results.training import DevPoint
from nearer.core.results.training_plan import Trial
from nearer.core.sections import TrainRecipe
from nearer.encode.cross_encoder import CrossEncoder
from nearer.encode.encoder import Encoder
from nearer.flows.train import train
from nearer.learn import objective
from nearer.store.workspace import Workspace
from nearer.training import budget, prepare, search
from nearer.training import passes as passes_module
from nearer.training.deadline import Deadline
from nearer.training.job import Diverged
from power import PowerCut, cut_at, cut_at_each
from said import Said


class Clock:
    """Time that passes by tokens alone, of texts that are encoded and of those that are trained on.

    Training on one takes ``train`` times as long; after ``slow_at`` everything takes ``slow`` times as long. No machine
    has bfloat16, unless a test says so; there it takes half.
    """

    def __init__(self, monkeypatch):
        self.now, self.token_s, self.train = 0.0, 0.001, 3.0
        self.slow_at, self.slow = float("inf"), 1.0
        monkeypatch.setattr(budget, "precisions_of", lambda device: ("float32",))
        forward, encode = objective._vectors, Encoder._encode

        def trained_on(model, features):
            own = model.transformers_model
            share = sum(any(p.requires_grad for p in layer.parameters()) for layer in own.encoder.layer)
            factor = (1 + 2 * share / len(own.encoder.layer)) / 3
            self.passes(int(features["attention_mask"].sum()) * self.train * factor)
            return forward(model, features)

        def encoded(encoder, texts, **asked):
            self.passes(budget._num_tokens(encoder, texts))
            return encode(encoder, texts, **asked)

        monkeypatch.setattr(objective, "_vectors", trained_on)
        monkeypatch.setattr(Encoder, "_encode", encoded)

    def passes(self, tokens):
        self.now += tokens * self.token_s * (self.slow if self.now >= self.slow_at else 1.0)

    def __call__(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


@pytest.fixture
def run(base_live, clock):
    """Train in the time of ``clock``; the result, the registered training, and what was said."""

    def run(*overrides, **asked):
        workspace, said = Workspace.open(base_live, overrides=overrides), Said()
        try:
            result = train(workspace, **asked, progress=said, clock=clock)
            training = workspace.registry.training_of(result["model_id"])
            assert not list(workspace.training.iterdir())
            return result.to_dict(), training and training.to_dict(), said.said
        finally:
            workspace.close()

    return run


EPOCHS = "train.epochs=10"
WHOLE_S = 45
"""What the tiny recipe takes, two passes on 140 pairs, by that clock."""


# A time to keep


@pytest.mark.exhaustive
def test_much_time_is_the_recipe(run, clock):
    result, training, said = run(budget=1e6)
    plan = result["budget"]["plan"]
    assert (plan["epochs"], plan["passes"], plan["num_pairs"]) == (1, 2, result["num_pairs"])
    assert any(line.startswith("the time decides: all that the recipe asks for") for line in said)
    assert training["budget"] == json.loads(json.dumps(result["budget"]))
    assert result["budget"]["costs"]["train_s"] == pytest.approx(3 * result["budget"]["costs"]["encode_s"])
    assert result["duration_s"] == pytest.approx(clock.now, abs=0.1)
    assert clock.now < WHOLE_S


def test_a_time_may_be_written_as_people_do(run, base_live):
    result, *_ = run("train.passes=1", "train.max_pairs=6", "train.batch_size=8", budget="1000h")
    assert result["budget"]["budget_s"] == 3.6e6
    with Workspace.open(base_live) as workspace, pytest.raises(InputError, match="--budget soon: no length of time"):
        train(workspace, budget="soon")


@pytest.mark.exhaustive
@pytest.mark.slow
def test_the_choice_changes_no_model_when_all_fits(run, base_live):
    plain, *_ = run()
    shutil.rmtree(base_live / ".nearer/training")
    timed, *_ = run(budget=1e6)
    assert (timed["model_id"], timed["passes"]) == (plain["model_id"], plain["passes"])


@pytest.mark.parametrize("budget_s", [4, 7, 12, 20, 40])
def test_every_budget_ends_in_time_and_trains(run, clock, budget_s):
    result, *_ = run(EPOCHS, budget=budget_s)
    assert clock.now <= 1.1 * budget_s
    learned = [each["fit"] for each in result["passes"] if each["number"]]
    assert sum(fit["num_steps"] for fit in learned) >= 9
    assert clock.now >= 0.4 * budget_s, "the time is used"


@pytest.mark.parametrize("slow_at", [1, 3, 8])
@pytest.mark.parametrize("slow", [2, 4])
def test_a_machine_that_slows_down_ends_in_time_all_the_same(run, clock, slow_at, slow):
    clock.slow_at, clock.slow = slow_at, slow
    result, *_ = run(EPOCHS, budget=20)
    assert clock.now <= 22
    fits = [each["fit"] for each in result["passes"] if each["number"]]
    assert sum(fit["num_steps"] for fit in fits) > 0
    stands = [point for point in fits[-1]["dev"] if point["step"] == fits[-1]["best_step"]]
    assert len(stands) == 1, "what is kept was measured"


def test_a_slow_pass_leaves_fewer_pairs_for_the_next(run, clock):
    clock.slow_at, clock.slow = 6, 2.5
    result, _, said = run(budget=45)
    assert result["budget"]["plan"]["passes"] == 2
    cut = [line for line in said if "pairs in pass 2, as steps take" in line]
    assert cut or "no time is left for pass 2" in said or "the time is over before pass 2" in said
    assert clock.now <= 1.1 * 45


def test_documents_that_there_is_no_time_for_are_not_read(run, base_live, clock):
    for path in (base_live / ".nearer" / "embeddings").glob("*"):
        path.unlink()
    clock.token_s = 0.02
    result, _, said = run(budget=120)
    [reported] = [line for line in said if "documents are read" in line]
    assert result["num_pairs"] > 0
    assert result["dev"]["num_queries"] > 0
    assert int(reported.split()[3]) < 80
    assert clock.now <= 1.1 * 120


def test_as_many_epochs_as_fit(run, clock):
    result, training, _ = run(EPOCHS, budget=100)
    plan = result["budget"]["plan"]
    assert 1 <= plan["epochs"] < 10
    assert (plan["num_pairs"], plan["savings"], plan["passes"]) == (result["num_pairs"], {}, 2)
    assert training["recipe"]["train"]["epochs"] == plan["epochs"]


@pytest.mark.exhaustive
def test_a_linear_map_takes_the_place_of_a_pass_that_there_is_no_time_for(run, clock):
    result, training, said = run(budget=12)
    plan = result["budget"]["plan"]
    assert plan["savings"]["train.warm_start_epochs"] == 5
    assert [each["number"] for each in result["passes"]] == [0, 1]
    assert any(line.startswith("one pass is trained", 18) for line in said), said
    assert training["recipe"]["train"]["passes"] == 1
    assert clock.now <= 13.2


def test_one_is_refused_where_the_recipe_says_so(run):
    result, *_ = run("train.warm_start_epochs=0", budget=12)
    assert 0 not in [each["number"] for each in result["passes"]]


@pytest.mark.exhaustive
def test_products_are_made_in_bfloat16_where_that_is_faster(run, clock, monkeypatch):
    monkeypatch.setattr(budget, "precisions_of", lambda device: ("float32", "bfloat16"))
    training_s = budget._training_s

    def faster(encoder, sample, recipe, **options):
        token_s, step_s = training_s(encoder, sample, recipe, **options)
        return (token_s / 2 if recipe.precision == "bfloat16" else token_s), step_s

    monkeypatch.setattr(budget, "_training_s", faster)
    result, training, _ = run(budget=20)
    assert result["budget"]["plan"]["savings"]["train.precision"] == "bfloat16"
    assert training["recipe"]["train"]["precision"] == "bfloat16"


@pytest.mark.parametrize(
    "settings", [("train.sides=query",), ("train.max_pairs=6", "train.batch_size=8")], ids=["query", "few"]
)
def test_it_plans_whatever_learns_and_however_few_pairs_there_are(run, settings):
    result, *_ = run(*settings, "train.passes=1", budget=1e6)
    assert result["num_pairs"] == result["budget"]["plan"]["num_pairs"] > 0


def test_it_plans_for_a_teacher_and_counts_its_time(run, clock, topic_cross_encoder_folder, monkeypatch):
    def scores(encoder, pairs):
        clock.now += len(pairs)
        return read(encoder, pairs)

    read = CrossEncoder.scores
    monkeypatch.setattr(CrossEncoder, "scores", scores)
    settings = (f'mining.reranker="{topic_cross_encoder_folder}"', "train.loss=kl", "train.max_pairs=20")
    result, *_ = run(*settings, "train.passes=1", budget=1e6)
    assert result["budget"]["costs"]["judging_s"] >= 20 * 3, "a positive and two drawn negatives, a second each"
    assert result["budget"]["plan"]["estimate_s"] > result["budget"]["costs"]["judging_s"]


@pytest.mark.parametrize("token_s", [0.001, 0.02], ids=["no time", "a slow machine"])
def test_a_time_too_short_is_refused_at_once_with_what_would_do(run, base_live, clock, token_s):
    clock.token_s = token_s
    budget_s = 0.05 if token_s == 0.001 else 4
    with pytest.raises(RecipeError, match="the time is too short to train") as caught:
        run(budget=budget_s)
    assert not list((base_live / ".nearer/training").iterdir())
    took = clock.now
    assert took <= max(1.0, budget_s)
    enough = caught.value.hint.split("--budget ")[1].split(";")[0]
    clock.now = 0.0
    result, *_ = run(budget=seconds_of(enough, option="--budget"))
    assert result["num_pairs"] > 0


@pytest.mark.exhaustive
@pytest.mark.slow
@pytest.mark.parametrize(("step", "time"), [("train.budget", 2), ("train.checkpoint", 2), ("train.pass", 1)])
def test_killed_it_goes_on_with_the_same_choice_and_the_time_that_is_left(
    run, clock, base_live, monkeypatch, step, time
):
    often = (EPOCHS, "train.checkpoint_steps=5")
    run(*often, budget=1e6)  # everything is encoded then
    clock.now = 0.0
    whole, *_ = run(*often, budget=70)
    clock.now = 0.0
    with monkeypatch.context() as patch:
        cut_at(patch, step, time)
        with pytest.raises(PowerCut):
            run(*often, budget=70)
    [kept] = (base_live / ".nearer/training").glob("run-*/budget.json")
    left_s = json.loads(kept.read_text())["left_s"]
    assert 0 < left_s < 70
    monkeypatch.setattr(prepare, "measure_costs", None)
    clock.now = began = 5000.0
    result, *_ = run(*often, budget=70)
    assert result["budget"] == whole["budget"]
    assert (result["model_id"], result["passes"]) == (whole["model_id"], whole["passes"])
    assert clock.now - began <= left_s


@pytest.mark.exhaustive
def test_another_time_is_another_run_and_the_first_stays(run, base_live, monkeypatch):
    def base_live_runs():
        return [each.name for each in (base_live / ".nearer" / "training").iterdir()]

    with monkeypatch.context() as patch:
        cut_at(patch, "train.pass")
        with pytest.raises(PowerCut):
            run(budget=200)
    [unfinished] = base_live_runs()
    with pytest.raises(AssertionError, match="run-"):  # it has nothing of the first, which stays
        run(budget=300)
    assert base_live_runs() == [unfinished]


def test_measuring_a_cost_leaves_no_trace(tiny_encoder, clock):
    before = {name: each.clone() for name, each in tiny_encoder.model.state_dict().items()}
    texts = [f"text number {number} of some" for number in range(40)]
    token_s, _ = budget._training_s(tiny_encoder, texts, TrainRecipe(), enough_s=1.0, clock=clock)
    assert token_s == pytest.approx(3 * clock.token_s, rel=0.01)
    after = tiny_encoder.model.state_dict()
    assert all(each.equal(after[name]) for name, each in before.items())
    assert all(each.grad is None and each.requires_grad for each in tiny_encoder.model.parameters())


# Deadlines


def deadline(now, ends_at=100.0, **options):
    return Deadline(ends_at, clock=lambda: now[0], **options)


def test_a_whole_keeps_in_reserve_what_its_shares_saw_dev_take():
    now = [0.0]

    def measure(step):
        now[0] += 10
        return DevPoint(step=step, value=0.5)

    left = []
    whole = deadline(now, kept=left.append)
    whole.share(1).timed(measure)(1)
    assert left == [90.0]
    assert (whole.has(74), whole.has(75)) == (True, False)


def test_a_step_that_would_not_end_in_time_is_not_begun():
    now = [0.0]
    ours = deadline(now)
    ours.expects(dev_s=4.0)
    ours.begins(step_s=10.0)
    ends = []
    while not ends or not ends[-1]:
        now[0] += 10
        ends.append(ours.step_ended())
    assert (len(ends), now[0]) == (9, 90.0)


def test_where_steps_take_longer_so_will_a_measurement():
    now = [0.0]
    ours = deadline(now)
    ours.expects(dev_s=4.0)
    ours.begins(step_s=5.0)
    now[0] += 20
    assert not ours.step_ended()
    assert ours.slowdown == 4
    assert (ours.has(55), ours.has(57)) == (True, False), "80 are left, 24 of them for dev"
    assert ours.steps_within(5.0) == 3


def test_a_watched_progress_stops_between_items():
    now = [0.0]
    ours = deadline(now)
    items = ours.watching(Silent()).track(range(9), label="encode", total=9)
    assert next(items) == 0
    now[0] = 99.0
    assert next(items) == 1
    now[0] = 100.0
    with pytest.raises(OutOfTime, match="encode"):
        next(items)
    now[0] = 104.0
    assert list(ours.watching(Silent(), to_the_end=True).track([1, 2], label="measure", total=2)) == [1, 2]
    assert list(Deadline.never(lambda: 0.0).watching(Silent()).track([1], label="x", total=1)) == [1]


# Several seeds


@pytest.mark.exhaustive
@pytest.mark.slow
def test_seeds_give_the_best_and_the_spread(run, base_live):
    result, training, said = run(seeds=3)
    alone, *_ = run()
    seeds = result["seeds"]
    values = [each["value"] for each in seeds["trainings"]]
    assert [each["settings"] for each in seeds["trainings"]] == [{"train.seed": seed} for seed in range(3)]
    assert values[0] == alone["dev"]["best"]
    assert seeds["mean"] == pytest.approx(statistics.fmean(values))
    assert seeds["standard_deviation"] == pytest.approx(statistics.stdev(values))
    assert result["dev"]["best"] == max(values)
    assert training["recipe"]["train"]["seed"] == values.index(max(values))
    assert training["seeds"] == seeds
    assert sum(line.startswith("training ") for line in said) == 3


@pytest.mark.exhaustive
@pytest.mark.slow
def test_seeds_that_were_killed_again_and_again_go_on(run, monkeypatch):
    whole, *_ = run("train.evals_per_pass=2", seeds=2)
    steps = ("train.checkpoint", "train.part", "train.checkpoint", "train.part")
    cut_at_each(monkeypatch, steps, lambda: run("train.evals_per_pass=2", seeds=2))
    result, *_ = run("train.evals_per_pass=2", seeds=2)
    assert (result["model_id"], result["passes"]) == (whole["model_id"], whole["passes"])
    assert timeless(result["seeds"]["trainings"]) == timeless(whole["seeds"]["trainings"])


def timeless(trainings):
    return [{key: value for key, value in each.items() if key != "duration_s"} for each in trainings]


@pytest.mark.exhaustive
@pytest.mark.slow
@pytest.mark.parametrize("asked", ["search", "seeds"])
def test_only_the_best_keeps_weights(run, base_live, monkeypatch, asked):
    with monkeypatch.context() as patch:
        cut_at(patch, "train.model")
        with pytest.raises(PowerCut):
            run(**{asked: 3})
    [parts] = (base_live / ".nearer/training").glob("run-*/parts.json")
    values = [each["value"] for each in json.loads(parts.read_text())]
    assert [path.name for path in parts.parent.glob("part-*")] == [f"part-{values.index(max(values))}"]


@pytest.mark.exhaustive
@pytest.mark.parametrize(("budget_s", "number"), [(1e6, 3), (110, 2), (60, 1)])
def test_there_are_fewer_seeds_where_the_time_is_short_and_no_fewer_epochs(run, clock, budget_s, number):
    result, _, said = run(seeds=3, budget=budget_s)
    assert len(result["seeds"]["trainings"]) == number
    assert (f"no time for training {number + 1} of 3" in said) == (number < 3)
    assert (result["budget"]["plan"]["epochs"], result["num_pairs"]) == (1, 140)
    assert clock.now <= budget_s


@pytest.mark.exhaustive
@pytest.mark.slow
def test_a_seed_that_was_begun_is_ended_whatever_is_left(run, clock, monkeypatch):
    with monkeypatch.context() as patch:
        cut_at(patch, "train.pass", 3)
        with pytest.raises(PowerCut):
            run(seeds=2, budget=110)
    result, _, said = run(seeds=2, budget=110)
    assert len(result["seeds"]["trainings"]) == 2
    assert not [line for line in said if line.startswith("no time")]


# A search


@pytest.mark.slow
def test_a_search_tries_the_recipe_first_and_keeps_the_best(run):
    plain, *_ = run("train.passes=1")
    result, training, _ = run("train.passes=1", search=4)
    trials = result["trials"]
    assert trials[0]["value"] == plain["dev"]["best"]
    assert trials[0]["settings"]["train.learning_rate"] == 1e-3
    assert len({json.dumps(each["settings"]) for each in trials}) == len(trials) == 4
    best = max(trials, key=lambda each: each["value"])
    assert result["dev"]["best"] == best["value"]
    for key, value in best["settings"].items():
        section, name = key.split(".")
        assert training["recipe"][section][name] == value
    assert json.loads(json.dumps(trials)) == training["trials"]


@pytest.mark.exhaustive
@pytest.mark.slow
def test_a_search_within_a_time_shares_it(run, clock):
    result, *_ = run(search=3, budget=150)
    assert clock.now <= 150
    assert 1 <= len(result["trials"]) <= 3
    longest = result["budget"]["plan"]["epochs"]
    assert all(each["settings"]["train.epochs"] <= longest for each in result["trials"])


@pytest.mark.exhaustive
@pytest.mark.slow
def test_a_search_that_was_killed_keeps_its_trials(run, monkeypatch):
    whole, *_ = run(search=3)
    with monkeypatch.context() as patch:
        cut_at(patch, "train.part", 2)
        with pytest.raises(PowerCut):
            run(search=3)
    passes = []
    monkeypatch.setattr(passes_module, "_summary", lambda kept: passes.append(kept) or "a pass")
    result, *_ = run(search=3)
    assert timeless(result["trials"]) == timeless(json.loads(json.dumps(whole["trials"])))
    assert result["model_id"] == whole["model_id"]
    assert len(passes) == 4, "the passes of the third trial, and those of the best, read again"


@pytest.mark.exhaustive
def test_a_trial_that_breaks_down_is_reported_and_another_kept(run, monkeypatch):
    run_passes, parts = passes_module.run_passes, []

    def broken(job):
        parts.append(job)
        if len(parts) == 2:
            raise Diverged("training broke down in pass 1", hint="lower train.learning_rate")
        return run_passes(job)

    with monkeypatch.context() as patch:
        patch.setattr("nearer.flows.train.run_passes", broken)
        result, *_ = run(search=3)
    values = [each["value"] for each in result["trials"]]
    assert values[1] is None
    assert (result["trials"][1]["fault"], result["trials"][1]["num_passes"]) == ("training broke down in pass 1", 0)
    assert result["dev"]["best"] == max(value for value in values if value is not None)


def test_when_all_break_down_the_remedy_is_reported(run, base_live):
    with pytest.raises(RecipeError, match="every training broke down; the first: training broke down in pass 1"):
        run("train.learning_rate=1e30", seeds=2)
    assert not list((base_live / ".nearer/training").iterdir())


def test_what_is_suggested_lies_around_the_recipe_and_learns_from_what_was():
    recipe = Recipe()
    options = {"longest": 2.0, "num_examples": 1000, "mines": True}
    finished = []
    for number in range(20):
        settings = search.suggest(recipe, finished, **options)
        assert settings == search.suggest(recipe, finished, **options), "the same again"
        assert 6e-5 / 5 <= settings["train.learning_rate"] <= 6e-5 * 5
        assert 0.5 <= settings["train.epochs"] <= 2.0
        assert settings["train.batch_size"] in (16, 32, 64)
        assert settings["mining.margins"][0] in recipe.mining.margins
        assert settings["mining.margins"][-1] == -1.0
        value = 1 - abs(settings["train.epochs"] - 1.8)
        finished.append(Trial(settings=settings, value=None if number == 3 else value))
    late = [each.settings["train.epochs"] for each in finished[-6:]]
    assert statistics.fmean(late) > 1.4
    assert set(search.suggest(recipe, [], longest=2.0, num_examples=1000, mines=False)) == {
        "train.learning_rate", "train.epochs", "train.scale", "train.batch_size",
    }  # fmt: skip


def test_no_fewer_candidates_are_tried_than_a_teacher_is_given():
    recipe = Recipe.model_validate({"mining": {"reranker": "a-teacher", "num_negatives": 5, "top_k": 12}})
    assert search.space(recipe, longest=2.0, num_examples=1000, mines=True)["mining.top_k"].low == 10


# The command line


@pytest.mark.exhaustive
def test_the_options_are_reported_and_shown(ask, nearer, base_live):
    outcome = nearer("train", "--seeds", 2, "--budget", "10m", "--dir", base_live)
    assert outcome.exit_code == 0, outcome.err
    assert "the time decided: all that the recipe asks for" in outcome.out
    assert "2 seeds, training dev " in outcome.out
    page = Path(ask(base_live, "report")["report"]).read_text()
    assert "<h3>Trainings it was chosen from</h3>" in page
    assert "all that the recipe asks for" in page


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--budget", "soon"), "--budget soon: no length of time"),
        (("--budget", "0s"), "--budget 0s: no length of time"),
        (("--search", 3, "--seeds", 2), "do not go together"),
        (("--seeds", 0), "above 0"),
        (("--adapter", "query", "--seeds", 2), "--adapter takes no --budget"),
    ],
)
def test_what_cannot_be_asked_is_refused(ask, base_live, options, message):
    assert message in ask(base_live, "train", *options, code=2)["error"]["message"]


def test_lengths_of_time():
    assert [seconds_of(text, option="-") for text in ("90s", " 20m ", "1.5h")] == [90, 1200, 5400]
    for text in ("", "20", "m", "-3s", "1d", "nan s"):
        with pytest.raises(InputError, match="no length of time"):
            seconds_of(text, option="--budget")


@pytest.mark.exhaustive
@pytest.mark.slow
def test_killed_for_real_at_every_step_it_can_be_repeated(ask, base_live):
    asked = ("train", "--seeds", 2, "--budget", "10m", "--set", "train.passes=1")
    whole = shutil.copytree(base_live, base_live.parent / "whole")
    wanted = ask(whole, *asked)["model_id"]
    for step in ("train.budget", "train.budget:2", "train.part", "train.part"):
        assert processes.run(*asked, "--dir", base_live, die_at=step).was_killed
        assert len(ask(base_live, "status")["models"]) == 1
    assert ask(base_live, *asked)["model_id"] == wanted
    assert not list((base_live / ".nearer/training").iterdir())
    assert not list(base_live.rglob(".tmp-*"))
