"""What mlx-lm gives fits the interfaces."""

import mlx.core as mx
import pytest
from mlx_lm.models.cache import make_prompt_cache

from tasks.model.causal_lm import CausalLM
from tests.tiny import FAMILIES, tiny_model


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_logits_come_for_ids_alone_and_with_caches(family: str) -> None:
    module, ids = tiny_model(family), mx.array([[1, 2, 3]])
    model: CausalLM = module
    plain, cached = model(ids), model(ids, cache=make_prompt_cache(module))
    assert plain.shape == cached.shape
    assert mx.allclose(plain, cached, atol=1e-3)
