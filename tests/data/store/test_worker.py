"""A worker answers each request, and says what went wrong rather than dying of it."""

import io
import pickle
from dataclasses import dataclass

from tasks.data.store.worker import serve
from tasks.errors import DataError


class Unsendable(Exception):
    def __reduce__(self):
        raise TypeError("no")


@dataclass
class Make:
    def __call__(self, job: object) -> object:
        if job == "bad row":
            raise DataError("why", path="a.jsonl", line=3)
        if job == "odd":
            raise Unsendable("odd")
        return job


def test_answers_by_order():
    requests = io.BytesIO(b"".join(pickle.dumps(thing) for thing in (Make(), 1, "bad row", "odd", 2)))
    answers = io.BytesIO()
    serve(requests, answers)
    answers.seek(0)
    first, second, third, fourth = (pickle.load(answers) for _ in range(4))
    assert (first, fourth) == ((1, None), (2, None))
    assert (str(second[1]), second[1].reason, second[1].line) == ("a.jsonl:3: why", "why", 3)
    assert str(third[1]) == "Unsendable: odd"
