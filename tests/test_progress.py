from cobrarec import progress
from cobrarec.progress import Pace, Silent


def test_silence_yields_what_it_is_given_and_says_nothing(capsys):
    silent = Silent()
    assert list(silent.track(iter("abc"), "letters")) == ["a", "b", "c"]
    silent.message("hello")
    silent.update("letters", 1, 3, "note")
    assert capsys.readouterr() == ("", "")


def test_the_pace_tells_of_all_users_and_of_the_time_left(monkeypatch):
    told, now = [], [100.0]

    class Listener(Silent):
        def message(self, text):
            told.append(text)

        def update(self, label, done, total, note=""):
            told.append((label, done, total, note))

    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    pace = Pace(Listener(), num_users=1000, num_todo=600)  # 400 were done by a run that was stopped
    for part in (400, 200):
        pace.begin_part(part)
        for _ in pace.track([1, 2], "ranking", total=2):
            now[0] += 1
    pace.message("hello")
    pace.update("ranking", 1, 2)
    assert told == [
        ("lists", 600, 1000, "600 of 1,000 users, 200 lists/s, 2 s left"),
        ("lists", 800, 1000, "800 of 1,000 users, 200 lists/s, 1 s left"),
        ("lists", 900, 1000, "900 of 1,000 users, 167 lists/s, 1 s left"),
        ("lists", 1000, 1000, "1,000 of 1,000 users, 150 lists/s, 0 s left"),
        "hello",
    ]
    slow = Pace(Listener(), 10**6, 10**6)
    slow.begin_part(1000)
    for _ in slow.track([1], "ranking"):
        now[0] += 10
    assert told[-1][3] == "1,000 of 1,000,000 users, 100 lists/s, 166 min left"
