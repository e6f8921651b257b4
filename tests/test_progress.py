from cobrarec.progress import Silent


def test_silence_yields_what_it_is_given_and_says_nothing(capsys):
    silent = Silent()
    assert list(silent.track(iter("abc"), "letters")) == ["a", "b", "c"]
    silent.message("hello")
    silent.update("letters", 1, 3, "note")
    assert capsys.readouterr() == ("", "")
