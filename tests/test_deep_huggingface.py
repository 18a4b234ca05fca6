"""Routers in the models of `transformers`: the identity swap changes nothing, in every family."""

import copy
import pickle

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
from torch import nn  # noqa: E402

from moestro import DataError  # noqa: E402
from moestro.deep import LinearRouter, RoutingStats, load_swapped, set_top_k, swap_routers  # noqa: E402
from moestro.deep.callbacks import Watcher  # noqa: E402
from moestro.deep.huggingface import find_routers  # noqa: E402
from moestro.deep.stats import COLUMNS  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")  # the models' library warns about itself

BODY = {
    "vocab_size": 60, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "intermediate_size": 24, "head_dim": 16, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
EIGHT = {"num_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 24}
LOCAL = {"num_local_experts": 8, "num_experts_per_tok": 2}
GROUPS = {
    "n_group": 4,
    "topk_group": 2,
    "n_routed_experts": 8,
    "first_k_dense_replace": 0,
    "n_shared_experts": 1,
}
LATENT = {"kv_lora_rank": 8, "q_lora_rank": 8, "qk_nope_head_dim": 8, "qk_rope_head_dim": 8, "v_head_dim": 8}
# One line a family: options of the smallest model that has routers.
FAMILIES = {
    "Mixtral": LOCAL,
    "Qwen2Moe": {**EIGHT, "shared_expert_intermediate_size": 24, "norm_topk_prob": False},
    "Qwen3Moe": {**EIGHT, "norm_topk_prob": True},
    "Olmoe": {**EIGHT, "norm_topk_prob": False},
    "FlexOlmo": EIGHT,
    "DeepseekV2": {**EIGHT, **GROUPS, **LATENT, "topk_method": "group_limited_greedy"},
    "DeepseekV3": {**EIGHT, **GROUPS, **LATENT, "head_dim": 8},
    "Glm4Moe": {**EIGHT, **GROUPS},
    "Dots1": {**EIGHT, **GROUPS},
    "GptOss": {**LOCAL, "layer_types": ["full_attention"] * 2},
    "GraniteMoe": LOCAL,
    "GraniteMoeShared": {**LOCAL, "shared_intermediate_size": 24},
    "Ernie4_5_Moe": {
        "moe_num_experts": 8, "moe_k": 2, "moe_intermediate_size": 24, "moe_layer_start_index": 0
    },
    "Phimoe": {**LOCAL, "router_jitter_noise": 0.4},  # a gradient between near-best experts alone
    "MiniMaxM2": {**LOCAL, "rotary_dim": 8},
    "Jamba": {
        **EIGHT, "attn_layer_period": 2, "attn_layer_offset": 0, "expert_layer_period": 1,
        "expert_layer_offset": 0,
        "mamba_d_state": 4, "mamba_d_conv": 2, "mamba_dt_rank": 4, "use_mamba_kernels": False,
    },
    "Lfm2Moe": {**EIGHT, "num_dense_layers": 0, "layer_types": ["full_attention"] * 2},
    "HunYuanMoEV1": {"num_experts": 8, "moe_topk": 2},
    "Afmoe": {**EIGHT, "num_dense_layers": 0},  # its routers take sequences of tokens
    "Cohere2Moe": EIGHT,
    "MiniMax": LOCAL,
}  # fmt: skip
IDS = torch.arange(3, 17).view(2, 7)


def model_of(family):
    torch.manual_seed(0)
    config = getattr(transformers, f"{family}Config")(**{**BODY, **FAMILIES[family]})
    model = getattr(transformers, f"{family}ForCausalLM")(config).eval()
    with torch.no_grad():  # routers that prefer something, corrections that matter
        for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
            if tensor.ndim == 2 and len(tensor) == 8 and ("gate" in name or "router" in name):
                tensor.normal_()
            if "bias" in name and tensor.shape[-1] == 8:
                tensor.copy_(torch.linspace(-0.3, 0.3, 8).expand_as(tensor))
    return model


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


@pytest.mark.parametrize("family", FAMILIES)
class TestEveryFamily:
    def test_the_models_own_weights_in_a_linear_router_change_nothing(self, family):
        model = model_of(family)
        before = model(input_ids=IDS).logits.detach()
        names = swap_routers(model, "linear")
        assert len(names) == 2
        torch.testing.assert_close(model(input_ids=IDS).logits, before, rtol=0, atol=1e-6)
        low = model.bfloat16()(input_ids=IDS).logits
        assert low.dtype == torch.bfloat16
        assert low.isfinite().all()

    def test_hyper_router_trains_is_kept_and_watched(self, family, tmp_path):
        model = model_of(family)
        before = model(input_ids=IDS).logits.detach()
        names = swap_routers(model, "hyper", hidden=6, init="unit_logit")
        model.train()(input_ids=IDS, labels=IDS).loss.backward()
        out = model.eval()(input_ids=IDS)
        assert (out.logits - before).abs().max() > 1e-4
        gate = model.get_submodule(names[0])
        assert gate.router.embedding.grad.abs().sum() > 0
        assert [n for n, p in gate.router.named_parameters() if p.requires_grad] == ["embedding"]
        assert "scored by" in repr(gate)
        for again in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
            assert torch.equal(again(input_ids=IDS).logits, out.logits)
        model.save_pretrained(tmp_path)
        loaded = load_swapped(type(model), tmp_path).eval()
        assert type(loaded) is type(model)
        torch.testing.assert_close(loaded(input_ids=IDS).logits, out.logits, rtol=0, atol=1e-6)
        model.init_weights()
        assert model(input_ids=IDS).logits.isfinite().all()

    def test_a_linear_router_begins_with_what_was_there_before(self, family, tmp_path):
        """A trained HyperRouter becomes a plain linear one, which is kept and loaded."""
        model = model_of(family)
        swap_routers(model, "hyper", hidden=6, init="unit_logit")
        before = model(input_ids=IDS).logits.detach()
        for _ in range(2):
            names = swap_routers(model, "linear")
            assert type(model.get_submodule(names[0]).router) is LinearRouter
            torch.testing.assert_close(model(input_ids=IDS).logits, before, rtol=0, atol=1e-6)
        model.save_pretrained(tmp_path)
        loaded = load_swapped(type(model), tmp_path).eval()
        torch.testing.assert_close(loaded(input_ids=IDS).logits, before, rtol=0, atol=1e-6)

    def test_statistics_and_numbers_of_experts(self, family):
        model = model_of(family)
        for swapped in (False, True):
            if swapped:
                swap_routers(model, "linear")
            with RoutingStats(model) as stats:
                model(input_ids=IDS)
            assert stats.table()["tokens"] == [14, 14]
            assert stats.table()["top_k"] == [2, 2]
            if family != "Phimoe":  # its rule is of two experts
                with set_top_k(model, 1), RoutingStats(model) as stats:
                    model(input_ids=IDS)
                assert stats.table()["top_k"] == [1, 1]


def test_router_logits_are_recorded_and_reach_the_auxiliary_loss():
    model = model_of("Mixtral")
    names = swap_routers(model, "hyper", hidden=6)
    out = model(input_ids=IDS, labels=IDS, output_router_logits=True)
    assert [r.shape for r in out.router_logits] == [(14, 8), (14, 8)]
    out.aux_loss.backward()
    assert model.get_submodule(names[0]).router.embedding.grad is not None
    for router in ("frozen", "cosine", "hyper"):  # again, over a router that was swapped
        assert swap_routers(model, router) == names
    assert model(input_ids=IDS).logits.isfinite().all()


def test_callbacks_watch_and_schedule_such_models():
    model = model_of("Mixtral")
    watcher = Watcher(1, lambda step: 1 + step)
    watcher.begin(model)
    for step in range(2):
        watcher.before(step)
        model(input_ids=IDS)
        found = watcher.after(model, step + 1)
        assert len(found) == 2 * len(COLUMNS[3:])
        assert [layer.top_k for layer in find_routers(model).values()] == [1 + step] * 2
    with pytest.raises(DataError, match="between 1 and 8 experts, got 9"):
        watcher.before(8)
    watcher.end()
    assert not watcher.stats


def test_what_cannot_be_swapped_is_refused_and_left_alone():
    config = transformers.SwitchTransformersConfig(
        vocab_size=60, d_model=16, d_ff=24, d_kv=8, num_layers=2, num_heads=2, num_experts=4
    )
    model = transformers.SwitchTransformersForConditionalGeneration(config)
    with pytest.raises(DataError, match="SwitchTransformersTop1Router drops tokens beyond a capacity"):
        swap_routers(model)
    for router in ("hash", "expert_choice", "stable"):
        with pytest.raises(DataError, match="does not fit"):
            swap_routers(model_of("Mixtral"), router)
    with pytest.raises(DataError, match="no top-k router"):
        swap_routers(nn.Linear(2, 2))

    class DoubledRouter(nn.Module):
        """Not a linear map of its input."""

        top_k = 2

        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.randn(4, 8))

        def forward(self, x):
            logits = (2.0 * x) @ self.weight.T + x.sum(1, keepdim=True)
            return logits, *logits.topk(2)

    class HashRouter(DoubledRouter):
        """Reads token ids besides."""

        def forward(self, x, ids):
            logits = x @ self.weight.T
            return logits, *logits.topk(2)[:1], torch.arange(4)[ids]

    for made in (DoubledRouter, HashRouter):
        strange = nn.Sequential(made())
        with pytest.raises(DataError, match=r"cannot be (swapped|kept)"):
            swap_routers(strange)
        assert type(strange[0]) is made


def test_a_path_without_swapped_routers_is_refused(tmp_path):
    model_of("Mixtral").save_pretrained(tmp_path)
    with pytest.raises(DataError, match="no swapped routers"):
        load_swapped(transformers.MixtralForCausalLM, tmp_path)
