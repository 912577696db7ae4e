"""Each loss beside a formula written out by hand, utterance by utterance, in float64."""

from __future__ import annotations

import itertools
import math

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from m3ser import models  # noqa: E402
from m3ser.models.losses import (  # noqa: E402
    AngularMargin,
    Centres,
    ContrastiveCentres,
    CrossEntropy,
    Focal,
    Joint,
    SigmoidCrossEntropy,
)

LABELS = torch.tensor([0, 2, 2, 1, 0])
CLASSES, WIDTH = 3, 6


@pytest.fixture
def logits():
    return torch.randn(5, CLASSES, generator=torch.Generator().manual_seed(1)).mul(2).requires_grad_()


@pytest.fixture
def features():
    return torch.randn(5, WIDTH, generator=torch.Generator().manual_seed(2)).requires_grad_()


def probabilities(logits):
    """Rows of plain floats."""
    rows = []
    for row in logits.detach().double().tolist():
        exponentials = [math.exp(one) for one in row]
        rows.append([one / sum(exponentials) for one in exponentials])
    return rows


def distance(one, other):
    """Squared, of two vectors."""
    return sum((a - b) ** 2 for a, b in zip(one.tolist(), other.tolist(), strict=True))


def same(loss, expected):
    assert loss.dtype == torch.float32
    assert loss.shape == ()
    assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_cross_entropy(logits):
    rows = probabilities(logits)
    each = [-math.log(row[label]) for row, label in zip(rows, LABELS.tolist(), strict=True)]
    same(CrossEntropy()(logits, LABELS), sum(each) / 5)
    weights = [0.5, 2.0, 1.0]
    own = [weights[label] for label in LABELS.tolist()]
    expected = sum(w * one for w, one in zip(own, each, strict=True)) / sum(own)
    same(CrossEntropy(torch.tensor(weights))(logits, LABELS), expected)


def test_label_smoothing_is_for_training_alone(logits):
    loss = CrossEntropy(label_smoothing=0.3)
    rows = probabilities(logits)
    smoothed = 0.0
    for row, label in zip(rows, LABELS.tolist(), strict=True):
        smoothed -= sum((0.7 * (k == label) + 0.1) * math.log(p) for k, p in enumerate(row)) / 5
    same(loss.train()(logits, LABELS), smoothed)
    assert torch.equal(loss.eval()(logits, LABELS), CrossEntropy()(logits, LABELS))


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_focal(logits, gamma):
    rows = probabilities(logits)
    own = [row[label] for row, label in zip(rows, LABELS.tolist(), strict=True)]
    each = [-((1 - p) ** gamma) * math.log(p) for p in own]
    same(Focal(gamma)(logits, LABELS), sum(each) / 5)
    weights = [0.5, 2.0, 1.0]
    shares = [weights[label] for label in LABELS.tolist()]
    expected = sum(w * one for w, one in zip(shares, each, strict=True)) / sum(shares)
    same(Focal(gamma, torch.tensor(weights))(logits, LABELS), expected)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_focals_gradient_is_finite_where_everything_is_certain(gamma):
    logits = torch.tensor([[200.0, 0.0, 0.0], [0.0, 200.0, 0.0], [30.0, 0.0, 0.0]], requires_grad=True)
    loss = Focal(gamma)(logits, torch.tensor([0, 0, 0]))
    loss.backward()
    assert loss.isfinite()
    assert logits.grad.isfinite().all()
    assert logits.grad[1].abs().max() > 0.1


def test_focals_factor_has_a_gradient_of_its_own(logits):
    """By differences: a factor that is taken as a constant would give another slope."""
    one = logits.detach().double()
    slope = torch.autograd.functional.jacobian(lambda x: Focal(0.5)(x, LABELS), logits.detach())
    for row, column in ((0, 0), (3, 1), (2, 0)):
        ends = []
        for sign in (1, -1):
            moved = one.clone()
            moved[row, column] += sign * 1e-4
            own = moved.softmax(dim=1)[torch.arange(5), LABELS]
            ends.append((-(1 - own).sqrt() * own.log()).mean())
        assert slope[row, column].item() == pytest.approx(((ends[0] - ends[1]) / 2e-4).item(), rel=1e-3, abs=1e-5)


def test_sigmoid_cross_entropy(logits):
    expected = 0.0
    for row, label in zip(logits.detach().double().tolist(), LABELS.tolist(), strict=True):
        for k, one in enumerate(row):
            p = 1 / (1 + math.exp(-one))
            expected -= math.log(p if k == label else 1 - p) / 15
    same(SigmoidCrossEntropy()(logits, LABELS), expected)


def test_centres_by_hand():
    term = Centres(2, 2)
    with torch.no_grad():
        term.centres.copy_(torch.tensor([[0.0, 0.0], [1.0, 1.0]]))
    vectors = torch.tensor([[3.0, 4.0], [1.0, 3.0]], requires_grad=True)
    loss = term(vectors, torch.tensor([0, 1]))
    # Half of 25 and of 4, on average.
    same(loss, 0.5 * (25 + 4) / 2)
    loss.backward()
    # x - c over the batch; the centres are drawn the other way.
    torch.testing.assert_close(vectors.grad, torch.tensor([[1.5, 2.0], [0.0, 1.0]]))
    torch.testing.assert_close(term.centres.grad, -vectors.grad)


@pytest.mark.parametrize("delta", [1.0, 0.1])
def test_contrastive_centres(features, delta):
    term = ContrastiveCentres(CLASSES, WIDTH, delta=delta)
    expected = 0.0
    for vector, label in zip(features.detach().double(), LABELS.tolist(), strict=True):
        squared = [distance(vector, centre) for centre in term.centres.detach().double()]
        expected += 0.5 * squared[label] / (sum(squared) - squared[label] + delta) / 5
    same(term(features, LABELS), expected)


def test_contrastive_centres_keeps_its_digits_among_far_vectors():
    """Of the sum of all distances the own one must not be subtracted: nothing would be left of the others."""
    term = ContrastiveCentres(2, 1)
    with torch.no_grad():
        term.centres.copy_(torch.tensor([[0.0], [1e4]]))
    same(term(torch.tensor([[1e4]]), torch.tensor([0])), 0.5 * 1e8 / 1.0)


@pytest.mark.parametrize(("angle", "cosine"), [(0.0, 0.0), (0.5, 0.0), (0.0, 0.5), (0.3, 0.2)])
def test_angular_margin(features, angle, cosine):
    term = AngularMargin(CLASSES, WIDTH, angle=angle, cosine=cosine, scale=8.0)
    expected = 0.0
    for vector, label in zip(features.detach().double(), LABELS.tolist(), strict=True):
        found = [float(torch.cosine_similarity(vector, one, dim=0)) for one in term.directions.detach().double()]
        turned = math.acos(found[label]) + angle
        assert turned < math.pi  # what this seed gives
        found[label] = math.cos(turned) - cosine
        exponentials = [math.exp(8 * one) for one in found]
        expected -= math.log(exponentials[label] / sum(exponentials)) / 5
    same(term(features, LABELS), expected)


def test_angular_margin_falls_all_the_way_to_the_opposite_direction():
    """cos(t + 0.5) alone would rise again past t = pi - 0.5."""
    term = AngularMargin(2, 2, angle=0.5, scale=4.0)
    with torch.no_grad():
        term.directions.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
    turns = torch.linspace(0, math.pi, 100)
    # The other class's cosine is kept out of it: the loss is that of the own logit among it.
    values = []
    for turn in turns:
        vector = torch.tensor([[math.cos(turn), -math.sin(turn)]])
        other = 4 * -math.sin(turn)
        loss = term(vector, torch.tensor([0])).item()
        values.append(other - math.log(math.expm1(loss)))
    assert all(later < earlier + 1e-4 for earlier, later in itertools.pairwise(values))


def test_angular_margins_gradient_by_differences(features):
    term = AngularMargin(CLASSES, WIDTH, angle=0.5, scale=8.0).double()

    def plain(vectors):
        cosines = torch.nn.functional.normalize(vectors) @ torch.nn.functional.normalize(term.directions).T
        own = torch.nn.functional.one_hot(LABELS, CLASSES).bool()
        return torch.nn.functional.cross_entropy(8 * torch.where(own, (cosines.acos() + 0.5).cos(), cosines), LABELS)

    expected = torch.autograd.functional.jacobian(plain, features.detach().double())
    found = torch.autograd.functional.jacobian(lambda x: term.float()(x, LABELS), features.detach())
    torch.testing.assert_close(found, expected.float(), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("vector", [[1.0, 0.0], [-1.0, 0.0], [0.0, 0.0]])
def test_angular_margins_gradient_is_finite_at_the_poles(vector):
    term = AngularMargin(2, 2, angle=0.5)
    with torch.no_grad():
        term.directions.copy_(torch.tensor([[2.0, 0.0], [0.0, 3.0]]))
    vectors = torch.tensor([vector], requires_grad=True)
    term(vectors, torch.tensor([0])).backward()
    assert vectors.grad.isfinite().all()
    assert term.directions.grad.isfinite().all()


def test_joint_adds_the_weighted_term(logits, features):
    main, term = CrossEntropy(), Centres(CLASSES, WIDTH)
    a, b = main(logits, LABELS).item(), term(features, LABELS).item()
    same(Joint(main, term, weight=0.25)(logits, LABELS, features), a + 0.25 * b)
    learnt = Joint(main, term, weight=None)
    same(learnt(logits, LABELS, features), a + b)
    with torch.no_grad():
        learnt.log_variances.copy_(torch.tensor([0.5, -1.0]))
    same(learnt(logits, LABELS, features), math.exp(-0.5) * a + 0.25 + math.e * b - 0.5)


def test_learnt_weights_do_not_collapse():
    """They come to rest where exp(s) is twice the loss; max(0, w) would go on to nothing."""
    logits, vectors = torch.randn(5, CLASSES), torch.randn(5, WIDTH)
    loss = Joint(CrossEntropy(), Centres(CLASSES, WIDTH), weight=None)
    loss.term.requires_grad_(False)
    optimiser = torch.optim.Adam([loss.log_variances], lr=0.05)
    for _ in range(600):
        optimiser.zero_grad()
        loss(logits, LABELS, vectors).backward()
        optimiser.step()
    parts = torch.stack((loss.main(logits, LABELS), loss.term(vectors, LABELS)))
    torch.testing.assert_close(loss.log_variances.detach().exp(), 2 * parts, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("loss", "learns"),
    [
        (CrossEntropy(torch.ones(CLASSES)), False),
        (Focal(0.5, torch.ones(CLASSES)), False),
        (SigmoidCrossEntropy(), False),
        (Joint(CrossEntropy(), Centres(CLASSES, WIDTH)), True),
        (Joint(CrossEntropy(), ContrastiveCentres(CLASSES, WIDTH), weight=None), True),
        (Joint(CrossEntropy(), AngularMargin(CLASSES, WIDTH, angle=0.5)), True),
    ],
    ids=["cross-entropy", "focal", "sigmoid", "centre", "contrastive-centre", "arcface"],
)
def test_gradients_reach_what_the_loss_reads_and_what_it_learns(loss, learns, logits, features):
    assert loss.learns is learns
    assert loss.reads_features is learns
    loss(logits, LABELS, features if learns else None).backward()
    assert (logits.grad.abs() > 0).all()
    if learns:
        assert (features.grad.abs().amax(dim=1) > 0).all()
    for parameter in loss.parameters():
        assert (parameter.grad.abs() > 0).any()
    # Class weights come from the training part each time.
    assert loss.state_dict().keys() == dict(loss.named_parameters()).keys()


def test_half_precision_is_widened(logits, features):
    loss = Joint(CrossEntropy(), ContrastiveCentres(CLASSES, WIDTH))
    half = loss(logits.bfloat16(), LABELS, features.bfloat16())
    expected = loss(logits.bfloat16().float(), LABELS, features.bfloat16().float())
    assert torch.equal(half, expected)


@pytest.mark.parametrize("name", models.names())
def test_every_model_has_a_fused_vector_for_them(name):
    torch.manual_seed(0)
    model = models.build(name, text_dim=24, audio_dim=16, num_labels=CLASSES)
    text, audio = torch.randn(5, 4, 24, requires_grad=True), torch.randn(5, 6, 16, requires_grad=True)
    assert model(text, None, audio, None).features is None
    output = model(text, None, audio, None, output_features=True)
    assert output.features.shape[0] == 5
    assert output.features.ndim == 2
    term = Centres(CLASSES, output.features.shape[1])
    term(output.features, LABELS).backward()
    for modality, states in (("text", text), ("audio", audio)):
        reached = states.grad is not None and bool((states.grad.abs().amax(dim=(1, 2)) > 0).all())
        assert reached is (modality in model.modalities)
