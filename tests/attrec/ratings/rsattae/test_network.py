import math

import torch

from attrec.models.layers import seeded_generator
from attrec.ratings.rsattae.network import RSAttAE, RSAttAEConfig, masked_rmse


def network(columns: int = 3, features: int = 2, **options: object) -> RSAttAE:
    config = RSAttAEConfig.model_validate({"dimension": 2, **options})
    return RSAttAE(columns, features, config, seeded_generator(0)).eval()


def set_by_hand(model: RSAttAE) -> None:
    """Encoder: E = first two ratings (both layers identity); keys and queries: the features themselves."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.zero_()
        for layer in (model.encoder_1, model.encoder_2, model.decoder_1, model.decoder_2):
            layer.weight.fill_diagonal_(1.0)
            layer.bias.zero_()
        model.query.weight.copy_(3 * torch.eye(2))  # lengths must not matter: rows are normalised
        model.key.weight.copy_(5 * torch.eye(2))
        model.alpha.fill_(0.25)


def test_forward_by_hand() -> None:
    model = network()
    set_by_hand(model)
    ratings = torch.tensor([[4.0, 1.0, 5.0], [2.0, 3.0, 0.0]])
    with torch.no_grad():
        output = model(ratings, torch.eye(2), torch.tensor([0, 1]))
    embedding = ratings[:, :2]
    assert torch.equal(output.embedding, embedding)
    own, other = math.e / (math.e + 1), 1 / (math.e + 1)  # softmax of (1, 0): cosine with oneself 1, else 0
    context = torch.tensor(
        [[own * 4 + other * 2, own * 1 + other * 3], [other * 4 + own * 2, other * 1 + own * 3]]
    )
    mixed = 0.25 * context + 0.75 * embedding
    # LayerNorm of two numbers: ±1 by which is larger (up to its epsilon)
    half = (mixed[:, :1] - mixed[:, 1:]) / 2
    expected = torch.cat([half, -half], 1) / torch.sqrt(half**2 + 1e-5)
    torch.testing.assert_close(output.attended, expected)
    # decoder: LeakyReLU(LeakyReLU(Ê)) padded with a zero third column; slope 0.01 applied twice below zero
    decoded = torch.where(expected > 0, expected, expected * 1e-4)
    torch.testing.assert_close(output.reconstruction, torch.cat([decoded, torch.zeros(2, 1)], 1))


def test_attention_over_groups_is_attention_over_rows() -> None:
    model = network(features=4, dimension=8)
    generator = torch.Generator().manual_seed(1)
    features = torch.randint(0, 2, (3, 4), generator=generator).float()
    groups = torch.tensor([0, 1, 1, 2, 0, 2, 1])
    embedding = torch.randn(7, 8, generator=generator)
    with torch.no_grad():
        attended = model.attend(embedding, features[groups], model.remember(embedding, features, groups))
        query = torch.nn.functional.normalize(model.query(features[groups]), dim=1)
        key = torch.nn.functional.normalize(model.key(features[groups]), dim=1)
        weights = torch.softmax(query @ key.T, dim=1)
        expected = model.norm(model.alpha * weights @ embedding + (1 - model.alpha) * embedding)
    torch.testing.assert_close(attended, expected)


def test_without_features_attention_is_uniform() -> None:
    model = network(features=1)
    embedding = torch.tensor([[1.0, 5.0], [3.0, 2.0], [8.0, 8.0]])
    with torch.no_grad():
        model.alpha.fill_(1.0)
        memory = model.remember(embedding, torch.zeros(1, 1), torch.zeros(3, dtype=torch.int64))
        attended = model.attend(embedding, torch.zeros(3, 1), memory)
    torch.testing.assert_close(attended, model.norm(embedding.mean(0, keepdim=True)).expand(3, 2))


def test_vanilla_autoencoder_has_no_attention_parameters() -> None:
    model = network(attention=False)
    assert {name.split(".")[0] for name, _ in model.named_parameters()} == {
        "encoder_1",
        "encoder_2",
        "decoder_1",
        "decoder_2",
    }
    with torch.no_grad():
        output = model(torch.ones(2, 3), torch.eye(2), torch.tensor([0, 1]))
    assert torch.equal(output.embedding, output.attended)


def test_masked_rmse_by_hand() -> None:
    reconstruction = torch.tensor([[4.0, 9.0], [1.0, 2.0]])
    ratings = torch.tensor([[5.0, 0.0], [3.0, 0.0]])
    observed = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    torch.testing.assert_close(
        masked_rmse(reconstruction, ratings, observed), torch.tensor(math.sqrt((1 + 4) / 2))
    )


def test_gradient_comes_from_observed_entries_alone() -> None:
    model = network(linear_output=True)
    ratings = torch.tensor([[4.0, 0.0, 5.0], [2.0, 0.0, 0.0]])
    output = model(ratings, torch.eye(2), torch.tensor([0, 1])).reconstruction
    output.retain_grad()
    masked_rmse(output, ratings, (ratings > 0).float()).backward()
    assert output.grad is not None
    assert torch.equal(output.grad != 0, ratings > 0)
    assert float(model.decoder_2.bias.grad[1]) == 0.0  # type: ignore[index]


def test_dropout_is_off_in_evaluation_and_on_in_training() -> None:
    model = network(dropout=0.5, input_dropout=0.5, dimension=16)
    arguments = torch.ones(4, 3), torch.eye(2), torch.tensor([0, 1, 0, 1])
    with torch.no_grad():
        assert torch.equal(model(*arguments).reconstruction, model(*arguments).reconstruction)
        model.train()
        assert not torch.equal(model(*arguments).reconstruction, model(*arguments).reconstruction)
