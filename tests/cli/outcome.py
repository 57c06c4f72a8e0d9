"""How a command should fail."""


def failed(result, *words, code=1):
    """The command ended with one line on stderr that holds these words, and no traceback."""
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    last = result.stderr.strip().splitlines()[-1]
    assert all(word in last for word in words), last
    return last
