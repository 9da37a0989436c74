import json

import pytest

from tasks.adapter import read_adapter_manifest
from tasks.errors import AdapterError


def test_what_was_saved_is_read(trained):
    manifest = read_adapter_manifest(trained()[0])
    assert manifest is not None
    assert (manifest.step, manifest.model, len(manifest.files)) == (3, trained()[1], 4)


def test_keys_that_came_since_are_passed_over_and_none_is_none(damaged):
    path = damaged / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "a_later_key": 1}))
    assert read_adapter_manifest(damaged) is not None
    path.unlink()
    assert read_adapter_manifest(damaged) is None


@pytest.mark.parametrize("model", ["x", [], {"path": ""}, {"path": "a", "code": "b"}, {"path": "a", "dtype": "int8"}])
def test_a_base_that_is_none_is_refused(model, damaged):
    path = damaged / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "model": model}))
    with pytest.raises(AdapterError, match=r"manifest\.json cannot be read: 'model"):
        read_adapter_manifest(damaged)
