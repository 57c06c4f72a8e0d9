"""Arguments that name runs and are more than a file's path."""

import click
from click.shell_completion import CompletionItem


class RunName(click.types.StringParamType):
    """A run file, or one with a checkpoint behind an @, or a word for several; told as text.

    The shell completes it to files, and to the words.
    """

    name = "run"

    def __init__(self, *words: str) -> None:
        self._words = words

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """The words that begin so, and whichever files do."""
        words = [CompletionItem(word) for word in self._words if word.startswith(incomplete)]
        return [*words, CompletionItem(incomplete, type="file")]
