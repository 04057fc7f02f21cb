"""A time to keep, several seeds, a search: what is chosen, kept when killed, and told."""

import json
import shutil
import statistics
from pathlib import Path

import pytest

from flows import processes
from nearer.core.durations import seconds_of
from nearer.core.errors import InputError, RecipeError
from nearer.core.recipe import Recipe
from nearer.core.results.training import DevPoint, Trial
from nearer.encode.cross_encoder import CrossEncoder
from nearer.encode.encoder import Encoder
from nearer.flows.train import train
from nearer.learn.objective import Objective
from nearer.store.workspace import Workspace
from nearer.training import budget, pace, search
from nearer.training import passes as passes_module
from nearer.training.deadline import Deadline
from nearer.training.job import Diverged
from power import PowerCut, cut_at, cut_at_each
from said import Said


class Clock:
    """Time that passes by steps and by encoding alone; ``step_s`` of one in which every layer learns.

    With ``longest`` it is that of so many tokens, and less when fewer are read. In bfloat16 it is
    ``bfloat16`` times that, on a machine that is said to have it; no machine is, unless a test says so.
    """

    def __init__(self, monkeypatch):
        self.now, self.step_s, self.text_s, self.longest, self.bfloat16 = 0.0, 1.0, 0.01, None, 0.5
        monkeypatch.setattr(budget, "precisions_of", lambda device: ("float32",))
        forward, encode = Objective.__call__, Encoder.encode_documents

        def step(objective, model, batch):
            frozen = any(not each.requires_grad for each in model.parameters())
            read = model.max_seq_length / self.longest if self.longest else 1.0
            coarser = self.bfloat16 if objective.recipe.precision == "bfloat16" else 1.0
            self.now += self.step_s * (0.5 if frozen else 1.0) * read * coarser
            return forward(objective, model, batch)

        def encoded(encoder, texts):
            self.now += self.text_s * len(texts)
            return encode(encoder, texts)

        monkeypatch.setattr(Objective, "__call__", step)
        monkeypatch.setattr(Encoder, "encode_documents", encoded)

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


# A time to keep


def test_much_time_is_the_recipe(run, clock):
    result, training, said = run(budget=1e6)
    plan = result["budget"]["plan"]
    assert (plan["epochs"], plan["passes"], plan["num_pairs"]) == (1, 2, result["num_pairs"])
    assert said[0].startswith("the time decides: all that the recipe asks for")
    assert training["budget"] == result["budget"]
    assert result["budget"]["pace"]["plain_step_s"] == pytest.approx(1.0)
    assert result["duration_s"] == pytest.approx(clock.now, abs=0.1)


def test_a_time_may_be_written_as_people_do(run, base_live):
    result, *_ = run("train.passes=1", budget="1000h")
    assert result["budget"]["budget_s"] == 3.6e6
    with Workspace.open(base_live) as workspace, pytest.raises(InputError, match="--budget soon: no length of time"):
        train(workspace, budget="soon")


@pytest.mark.slow
def test_the_choice_changes_no_model_when_all_fits(run, base_live):
    plain, *_ = run()
    shutil.rmtree(base_live / ".nearer/training")
    timed, *_ = run(budget=1e6)
    assert (timed["model_id"], timed["passes"]) == (plain["model_id"], plain["passes"])


def test_as_many_epochs_as_fit(run, clock):
    result, training, _ = run(EPOCHS, budget=100)
    plan = result["budget"]["plan"]
    assert 2 < plan["epochs"] < 10
    assert (plan["num_pairs"], plan["savings"], plan["passes"]) == (result["num_pairs"], {}, 2)
    assert training["recipe"]["train"]["epochs"] == plan["epochs"]
    assert 60 < clock.now <= 100


def test_a_pass_is_left_out_before_layers_are_frozen(run, clock):
    result, training, said = run(budget=28)
    plan = result["budget"]["plan"]
    assert (plan["passes"], plan["num_pairs"]) == (1, result["num_pairs"])
    assert "train.freeze_layers" not in plan["savings"]
    assert f"the time decides: {plan['reasons'][0]}" in said
    assert plan["reasons"][0].startswith(f"one pass is trained instead of 2: so {plan['num_pairs']} pairs fit")
    assert training["recipe"]["train"]["passes"] == max(each["number"] for each in result["passes"]) == 1
    assert clock.now <= 28


def test_neither_a_pass_nor_layers_are_given_up_for_a_few_more_pairs(run):
    result, *_ = run(budget=35)
    plan = result["budget"]["plan"]
    assert (plan["passes"], plan["savings"], plan["num_pairs"], result["num_pairs"]) == (2, {}, 112, 112)


def test_a_linear_map_takes_the_place_of_passes_that_there_is_no_time_for(run):
    result, training, said = run(budget=28)
    assert [each["number"] for each in result["passes"]] == [0, 1]
    assert result["budget"]["plan"]["savings"] == {"train.passes": 1, "train.warm_start_epochs": 5}
    assert training["recipe"]["train"]["warm_start_epochs"] == 5
    assert said[0].startswith("a linear map on the vectors of 140 pairs: ")


def test_it_does_so_where_mining_takes_too_long(run, monkeypatch):
    monkeypatch.setattr(pace, "_encoding_s", lambda *_, **__: 60.0)
    result, *_ = run("adapter.learning_rate=1e-2", budget=100)
    assert result["budget"]["plan"]["reasons"][0].startswith("1 pass instead of 2: mining takes ")
    assert [each["number"] for each in result["passes"]] == [0, 1]
    assert result["passes"][1]["mining"] is not None


@pytest.mark.parametrize(
    ("settings", "budget_s"),
    [((), 100), (("train.warm_start_epochs=0",), 28), (("train.passes=1",), 18)],
    ids=["time", "refused", "once"],
)
def test_there_is_none_where_all_passes_fit_or_none_is_wanted_or_one_pass_is_asked_for(run, settings, budget_s):
    result, *_ = run(*settings, budget=budget_s)
    assert 0 not in [each["number"] for each in result["passes"]]
    assert "train.warm_start_epochs" not in result["budget"]["plan"]["savings"]


@pytest.mark.slow
def test_killed_it_goes_on_with_its_linear_map(run, clock, monkeypatch):
    often = "train.checkpoint_steps=1"
    whole, *_ = run(often, budget=28)
    clock.now = 0.0
    with monkeypatch.context() as patch:
        cut_at(patch, "train.checkpoint")
        with pytest.raises(PowerCut):
            run(often, budget=28)
    monkeypatch.setattr(pace, "rehearse", None)
    result, *_ = run(often, budget=28)
    assert (result["model_id"], result["passes"]) == (whole["model_id"], whole["passes"])


def test_layers_are_frozen_before_pairs_are_left_out(run, clock):
    result, training, said = run("train.passes=1", budget=18)
    plan = result["budget"]["plan"]
    assert (plan["savings"]["train.freeze_layers"], plan["epochs"]) == (1, 1)
    assert plan["reasons"][0].startswith("the lowest 1 layers stay as they are: so ")
    assert training["recipe"]["train"]["freeze_layers"] == 1
    assert f"the time decides: {plan['reasons'][0]}" in said
    assert clock.now <= 18


def test_fewer_tokens_are_read_before_layers_are_frozen(run, clock, monkeypatch):
    monkeypatch.setattr(budget, "_FEWEST_TOKENS", 8)
    clock.longest = 64
    result, training, said = run("encoder.max_seq_length=64", budget=33)
    plan = result["budget"]["plan"]
    assert (plan["savings"], plan["epochs"]) == ({"train.max_seq_length": clock.longest // 2}, 1)
    assert f"texts are read to {clock.longest // 2} tokens in training, instead of {clock.longest}" in said[0]
    assert training["recipe"]["train"]["max_seq_length"] == clock.longest // 2
    assert clock.now <= 33


@pytest.mark.slow
def test_then_pairs_are(run, clock):
    full, *_ = run(budget=1e6)
    clock.now = 0.0
    result, training, _ = run(budget=18)
    assert result["num_pairs"] == result["budget"]["plan"]["num_pairs"] < full["num_pairs"]
    assert training["data"]["num_pairs"] == result["num_pairs"]
    mapped, *passes = (each["fit"]["num_examples"] for each in result["passes"])
    assert (mapped, passes) == (full["num_pairs"], [result["num_pairs"]] * training["recipe"]["train"]["passes"])
    assert clock.now <= 18


def test_no_layers_are_frozen_after_a_linear_map(run):
    result, *_ = run("adapter.learning_rate=1e-2", budget=21)
    assert [each["fit"]["best_step"] > 0 for each in result["passes"] if each["number"] == 0] == [True]
    assert "train.freeze_layers" not in result["budget"]["plan"]["savings"]


def test_products_are_made_in_bfloat16_before_anything_is_left_out(run, clock, monkeypatch):
    monkeypatch.setattr(budget, "precisions_of", lambda device: ("float32", "bfloat16"))
    result, training, said = run(budget=33)
    plan = result["budget"]["plan"]
    assert (plan["savings"], plan["passes"]) == ({"train.precision": "bfloat16"}, 2)
    assert said[0].startswith("the time decides: steps multiply in bfloat16, instead of float32: so 140 pairs fit")
    assert training["recipe"]["train"]["precision"] == "bfloat16"
    assert clock.now <= 33


def test_bfloat16_that_is_no_faster_is_not_used(run, clock, monkeypatch):
    monkeypatch.setattr(budget, "precisions_of", lambda device: ("float32", "bfloat16"))
    clock.bfloat16 = 1.0
    result, *_ = run(budget=40)
    assert "train.precision" not in result["budget"]["plan"]["savings"]


def test_a_wrong_estimate_ends_in_time_and_keeps_the_best(run, clock, monkeypatch):
    rehearse = pace.rehearse

    def rehearsed(*args, **options):
        clock.step_s = 1.0
        found = rehearse(*args, **options)
        clock.step_s = 6.0
        return found

    monkeypatch.setattr(pace, "rehearse", rehearsed)
    result, _, said = run(EPOCHS, budget=100)
    first = result["passes"][0]["fit"]
    assert (len(result["passes"]), first["out_of_time"], first["stopped_early"]) == (1, True, True)
    assert first["dev"][-1]["step"] == first["num_steps"] < 20, "what the time left was measured"
    [kept] = [point["value"] for point in first["dev"] if point["step"] == first["best_step"]]
    assert result["dev"]["best"] == kept
    assert said[-1] == "the time is over before pass 2"
    assert f"the time was over after step {first['num_steps']}" in said[-2]
    assert clock.now <= 100 + 6


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
    assert result["budget"]["pace"]["judging_s"] >= 20 * 3, "a positive and two drawn negatives, a second each"
    assert result["budget"]["plan"]["estimate_s"] > result["budget"]["pace"]["judging_s"]


def test_a_saving_that_the_model_cannot_have_is_passed_over(run, clock, monkeypatch):
    def refused(*_, **__):
        raise RecipeError("layers that cannot be passed by", hint="")

    monkeypatch.setattr("nearer.learn.fit.frozen", refused)
    result, *_ = run("train.passes=1", "train.evals_per_pass=1", budget=15)
    assert "train.freeze_layers" not in result["budget"]["plan"]["savings"]
    assert result["num_pairs"] < 140


def test_a_time_too_short_is_refused_with_what_things_take(run, base_live):
    with pytest.raises(RecipeError, match=r"not one batch fits; a dev measurement takes .* s, a step 1 s") as caught:
        run(budget=5)
    assert "--budget 20m" in caught.value.hint
    assert not list((base_live / ".nearer/training").iterdir())


@pytest.mark.slow
@pytest.mark.parametrize(("step", "time"), [("train.budget", 1), ("train.checkpoint", 2), ("train.pass", 1)])
def test_killed_it_goes_on_with_the_same_choice_and_the_time_that_is_left(
    run, clock, base_live, monkeypatch, step, time
):
    whole, *_ = run(EPOCHS, "train.evals_per_pass=3", budget=70)
    clock.now = 0.0
    with monkeypatch.context() as patch:
        cut_at(patch, step, time)
        with pytest.raises(PowerCut):
            run(EPOCHS, "train.evals_per_pass=3", budget=70)
    [kept] = (base_live / ".nearer/training").glob("run-*/budget.json")
    left_s = json.loads(kept.read_text())["left_s"]
    assert 70 - clock.now - 6 <= left_s < 70
    monkeypatch.setattr(pace, "rehearse", None)
    clock.now = began = 5000.0
    result, *_ = run(EPOCHS, "train.evals_per_pass=3", budget=70)
    assert result["budget"] == whole["budget"]
    assert (result["model_id"], result["passes"]) == (whole["model_id"], whole["passes"])
    assert clock.now - began <= left_s


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


def test_no_rehearsal_knows_what_another_made(run, monkeypatch):
    rehearse, kept = pace.rehearse, []

    def rehearsed(*args, sides, **options):
        assert not sides.activations.by_tokens
        kept.append(sides.activations)
        return rehearse(*args, sides=sides, **options)

    monkeypatch.setattr(pace, "rehearse", rehearsed)
    run("train.freeze_layers=1", budget=1e6)
    assert [bool(each.by_tokens) for each in kept] == [True, True], "without and with mined negatives"


def test_a_whole_keeps_in_reserve_what_its_shares_saw_dev_take():
    now = [0.0]

    def measure(step):
        now[0] += 10
        return DevPoint(step=step, value=0.5)

    left = []
    whole = Deadline(100.0, clock=lambda: now[0], kept=left.append)
    whole.share(1).timed(measure)(1)
    assert left == [90.0]
    assert (whole.has(69), whole.has(70)) == (True, False)


# Several seeds


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


@pytest.mark.parametrize(("budget_s", "number"), [(1e6, 3), (60, 2), (40, 1)])
def test_there_are_fewer_seeds_where_the_time_is_short_and_no_fewer_epochs(run, clock, budget_s, number):
    result, _, said = run(seeds=3, budget=budget_s)
    assert len(result["seeds"]["trainings"]) == number
    assert (f"no time for training {number + 1} of 3" in said) == (number < 3)
    assert (result["budget"]["plan"]["epochs"], result["num_pairs"]) == (1, 140)
    assert clock.now <= budget_s


@pytest.mark.slow
def test_a_seed_that_was_begun_is_ended_whatever_is_left(run, clock, monkeypatch):
    with monkeypatch.context() as patch:
        cut_at(patch, "train.pass", 3)
        with pytest.raises(PowerCut):
            run(seeds=2, budget=60)
    result, _, said = run(seeds=2, budget=60)
    assert len(result["seeds"]["trainings"]) == 2
    assert not [line for line in said if line.startswith("no time")]


# A search


@pytest.mark.slow
def test_a_search_tries_the_recipe_first_and_keeps_the_best(run):
    plain, *_ = run()
    result, training, _ = run(search=4)
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


@pytest.mark.slow
def test_a_search_within_a_time_shares_it(run, clock):
    result, *_ = run(search=3, budget=150)
    assert clock.now <= 150
    assert 1 <= len(result["trials"]) <= 3
    longest = result["budget"]["plan"]["epochs"]
    assert all(each["settings"]["train.epochs"] <= longest for each in result["trials"])


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


def test_a_trial_that_breaks_down_is_told_and_another_kept(run, monkeypatch):
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


def test_when_all_break_down_the_remedy_is_told(run, base_live):
    with pytest.raises(RecipeError, match="every training broke down; the first: training broke down in pass 1"):
        run("train.learning_rate=1e30", "train.warmup_ratio=0", seeds=2)
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


def test_the_options_are_told_and_shown(ask, nearer, base_live):
    outcome = nearer("train", "--seeds", 2, "--budget", "10m", "--dir", base_live)
    assert outcome.exit_code == 0, outcome.err
    assert "the time decided: all that the recipe asks for" in outcome.out
    assert "2 seeds, dev " in outcome.out
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
