"""With this folder on PYTHONPATH every Python process knows the second task: that is its registration."""

from namexp.tasks import known
from tests.second_task.registered import LINE

known.KINDS["line"] = LINE
