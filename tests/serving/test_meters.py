from cobrarec.serving.meters import Meters


def test_two_servers_in_a_process_count_apart():
    one, other = Meters(), Meters()
    one.request("/recommend", "POST", 200, 0.004)
    one.items("added", 0)
    one.items("removed", 2)
    one.watch("answer", "What it is.", lambda: 42)
    text = one.text().decode()
    assert 'cobrarec_request_seconds_bucket{le="0.005",method="POST",route="/recommend"} 1.0' in text
    assert 'kind="removed"} 2.0' in text
    assert 'kind="added"' not in text
    assert "cobrarec_answer 42.0" in text
    assert "/recommend" not in other.text().decode()
