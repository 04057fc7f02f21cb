import math

import pytest
import torch

from nearer.core.errors import RecipeError
from nearer.learn.examples import Example
from nearer.learn.losses import LOSSES, Similarities, choose_loss

NAN = math.nan


def batch(cosines, *, grades=None, weights=None, candidates=None, scores=None, teacher=None):
    cosine_BX = torch.tensor(cosines, dtype=torch.float64, requires_grad=True)
    num = len(cosines)
    return Similarities(
        cosine_BX=cosine_BX,
        grades_BX=torch.eye(num, len(cosines[0])) if grades is None else torch.tensor(grades),
        weight_B=torch.ones(num) if weights is None else torch.tensor(weights),
        candidates=candidates or [[row] for row in range(num)],
        score_B=torch.tensor(scores or [1.0] * num, dtype=torch.float64),
        teacher=teacher or [()] * num,
    )


def value(name, given, *, scale=20.0, margin=0.3):
    return LOSSES[name](given, scale=scale, margin=margin)


def gradient(name, given, **options):
    (found,) = torch.autograd.grad(value(name, given, **options), given.cosine_BX)
    return found


DRAWN = torch.rand(4, 6, generator=torch.Generator().manual_seed(3)).tolist()


# Ranking


def test_with_one_grade_it_is_the_cross_entropy_of_multiple_negatives_ranking():
    given = batch(DRAWN)
    wanted = torch.nn.functional.cross_entropy(given.cosine_BX * 20, torch.arange(4))
    assert value("mnrl", given).item() == pytest.approx(wanted.item(), rel=1e-6)
    (theirs,) = torch.autograd.grad(wanted, given.cosine_BX)
    assert torch.allclose(gradient("mnrl", given), theirs, atol=1e-6)


def test_what_is_neither_does_not_count_and_gets_no_gradient():
    given = batch([[0.5, 0.9, 0.1]], grades=[[1.0, NAN, 0.0]])
    cosine = torch.tensor([0.5, 0.1], dtype=torch.float64) * 20
    assert value("mnrl", given).item() == pytest.approx(-torch.log_softmax(cosine, 0)[0].item(), rel=1e-6)
    assert gradient("mnrl", given)[0, 1] == 0


def test_a_text_is_ranked_above_all_of_a_lower_grade_and_not_among_its_own():
    given = batch([[0.3, 0.4, 0.2, 0.1]], grades=[[4.0, 4.0, 1.0, 0.0]])
    s = [20 * each for each in (0.3, 0.4, 0.2, 0.1)]

    def against(own, *others):
        return math.log1p(sum(math.exp(other - own) for other in others))

    high = (against(s[0], s[2], s[3]) + against(s[1], s[2], s[3])) / 2
    low = against(s[2], s[3])
    assert value("mnrl", given).item() == pytest.approx((4 * high + 1 * low) / 5, rel=1e-6)


def test_graded_order_pulls_the_middle_above_the_unjudged_and_below_the_answer():
    found = gradient("mnrl", batch([[0.2, 0.2, 0.2]], grades=[[4.0, 1.0, 0.0]]))[0]
    assert found[0] < 0 < found[2]  # gradients descend: the answer goes up, the unjudged down
    assert abs(found[1]) < found[2]
    binary = gradient("mnrl", batch([[0.2, 0.2, 0.2]], grades=[[1.0, 0.0, 0.0]]))[0]
    assert binary[1] == pytest.approx(binary[2].item())


def test_weights_multiply_rows():
    alone = [value("mnrl", batch(DRAWN, weights=[float(n == row) for n in range(4)])).item() for row in range(4)]
    assert value("mnrl", batch(DRAWN)).item() == pytest.approx(sum(alone) / 4, rel=1e-5)
    weighed = value("mnrl", batch(DRAWN, weights=[2.0, 1.0, 0.0, 0.0])).item()
    assert weighed == pytest.approx((2 * alone[0] + alone[1]) / 3, rel=1e-5)
    assert value("mnrl", batch(DRAWN, weights=[0.0] * 4)).item() == 0


@pytest.mark.parametrize("grades", [[[1.0]], [[1.0], [1.0]], [[NAN]]])
def test_without_negatives_there_is_no_loss_and_no_nan(grades):
    given = batch([[0.5]] * len(grades), grades=grades, candidates=[[0]] * len(grades))
    assert value("mnrl", given).item() == 0
    assert torch.equal(gradient("mnrl", given), torch.zeros(len(grades), 1, dtype=torch.float64))


# The others


def test_triplet_counts_only_own_negatives_within_the_margin():
    given = batch([[0.9, 0.7, 0.1], [0.2, 0.5, 0.6]], candidates=[[0, 1, 2], [1, 2]])
    wanted = ((0.7 - 0.9 + 0.3) / 2 + (0.6 - 0.5 + 0.3)) / 2
    assert value("triplet", given).item() == pytest.approx(wanted, rel=1e-6)


def test_cosine_is_the_squared_difference_from_the_score():
    given = batch([[0.9, 0.0], [0.0, 0.2]], scores=[1.0, 0.5], candidates=[[0], [1]])
    assert value("cosine", given).item() == pytest.approx((0.1**2 + 0.3**2) / 2)


def test_cosent_is_that_of_sentence_transformers():
    from sentence_transformers.sentence_transformer.losses import CoSENTLoss

    scores = [0.1, 0.9, 0.4, 0.4]
    given = batch(DRAWN, scores=scores)
    pairs = given.cosine_BX.diagonal()
    unit = [torch.stack([pairs.detach(), (1 - pairs.detach() ** 2).sqrt()], 1), torch.tensor([[1.0, 0.0]]).expand(4, 2)]
    theirs = CoSENTLoss(None, scale=20.0).compute_loss_from_embeddings(
        [each.float() for each in unit], torch.tensor(scores)
    )
    assert value("cosent", given).item() == pytest.approx(float(theirs), rel=1e-4)


def test_margin_mse_asks_for_the_teachers_margins_in_any_unit():
    cosines, own = [[0.9, 0.6, 0.3]], [[0, 1, 2]]
    for unit in (1.0, 25.0):
        teacher = [[unit * each for each in (3.0, 2.0, 1.0)]]
        assert value("margin_mse", batch(cosines, candidates=own, teacher=teacher)).item() == pytest.approx(0, abs=1e-9)
    wrong = batch(cosines, candidates=own, teacher=[[3.0, 1.0, 2.0]])
    assert value("margin_mse", wrong).item() > 0.01
    assert gradient("margin_mse", wrong)[0, 2] < 0  # the teacher likes it better


def test_kl_is_none_where_both_agree_and_pulls_to_the_teacher_where_not():
    own = [[0, 1, 2]]
    agreed = batch([[0.3, 0.2, 0.1]], candidates=own, teacher=[[6.0, 4.0, 2.0]])
    assert value("kl", agreed).item() == pytest.approx(0, abs=1e-7)
    differing = batch([[0.3, 0.2, 0.1]], candidates=own, teacher=[[2.0, 4.0, 6.0]])
    assert value("kl", differing).item() > 0.1
    assert gradient("kl", differing)[0, 2] < 0 < gradient("kl", differing)[0, 0]


# Choosing


def pair(**given):
    return Example(anchor="a", positive="b", **given)


@pytest.mark.parametrize(
    ("examples", "wanted", "why"),
    [
        ([pair()], "mnrl", "pairs of"),
        ([pair(score=0.2), pair(score=0.9)], "cosent", "score"),
        ([pair(score=0.2), pair()], "mnrl", "pairs of"),
        ([pair(score=0.7), pair(score=0.9)], "mnrl", "pairs of"),
        ([pair(), pair(grade=4.0, grades={"c": 1.0})], "mnrl", "several grades"),
    ],
)
def test_the_shape_of_the_data_chooses(examples, wanted, why):
    name, reason = choose_loss(None, examples)
    assert name == wanted
    assert why in reason


@pytest.mark.parametrize(("name", "lacking"), [("triplet", "negative"), ("cosent", "score"), ("kl", "mining.reranker")])
def test_a_loss_that_the_data_cannot_feed_is_refused(name, lacking):
    with pytest.raises(RecipeError, match=f"2 of 2 examples.*|{lacking}") as raised:
        choose_loss(name, [pair(), pair()])
    assert lacking in str(raised.value)


@pytest.mark.parametrize("name", ["cosine", "cosent"])
def test_scores_that_only_some_pairs_have_are_refused(name):
    with pytest.raises(RecipeError, match="1 of 2 examples lack it"):
        choose_loss(name, [pair(score=0.3), pair()])


def test_a_teacher_that_only_scored_positives_is_refused():
    with pytest.raises(RecipeError, match="teacher's scores of negatives"):
        choose_loss("margin_mse", [pair(scores=(0.3,)), pair(scores=(0.3, 0.1))])


def test_what_is_asked_for_is_taken_when_the_data_has_it():
    assert choose_loss("triplet", [pair(negatives=("n",))])[0] == "triplet"


def test_a_triplet_goes_without_the_pairs_for_which_no_negative_was_mined_and_says_so():
    assert choose_loss("triplet", [pair(negatives=("n",)), pair()]) == (
        "triplet",
        "named in the recipe; 1 of 2 examples lack it, and teach nothing",
    )
