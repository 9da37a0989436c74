from pipelines.config.put_away import with_secrets, without_secrets


def test_a_password_is_not_in_what_is_shown_and_comes_back() -> None:
    typed = ["sweep.storage=postgresql://u:pa55word@h/d", "model.path=a/b", "+x=hf_abcdefghijklmno"]
    shown = without_secrets(typed)
    assert "pa55word" not in str(shown)
    assert "abcdefg" not in str(shown)
    assert with_secrets(shown) == typed
    assert with_secrets(["lora.rank=4"]) == ["lora.rank=4"]
