"""Processes that play a training's evaluation episodes side by side.

Beside a GPU an evaluation at the published sizes takes as long as the training before it: as many
frames again, each rendered on the processor.
"""

from collections import deque
from collections.abc import Callable
from multiprocessing import connection

import torch
from joblib import cpu_count

from vrlprobe.agents.drqv2 import DrQV2Agent
from vrlprobe.envs.pixels import PixelEnv
from vrlprobe.envs.record import record_episode
from vrlprobe.errors import VrlprobeError
from vrlprobe.runs.episode import Episode
from vrltrain.children import Child, start_child
from vrltrain.config.settings import TrainConfig
from vrltrain.drqv2 import lay_out

BESIDE_A_GPU = 4
"""Processes of a run on a GPU where their number is not given, if there are cores for them."""


def make_players(config: TrainConfig) -> "Players | None":
    """The processes that the settings ask for; None where the training plays for itself."""
    count = config.eval_processes
    if not count and torch.device(config.device).type != "cpu":
        count = min(BESIDE_A_GPU, cpu_count())
    count = min(count, max(config.eval_episodes, config.final_episodes))
    return Players(config, count) if count else None


class Players:
    """Processes with an environment and an actor of their own, which act on the processor.

    Their episodes are those that one process plays there one after the other, bit for bit. They
    start with the first evaluation, and end with `close` or when this process ends, however it
    does.

    Args:
        config: the training's settings.
        count: how many processes there are.
    """

    def __init__(self, config: TrainConfig, count: int) -> None:
        self.config, self.count = config, count
        self._players: dict[connection.Connection, Child] = {}

    def play(
        self,
        env: PixelEnv,
        agent: DrQV2Agent,
        episodes: int,
        images: int,
        played: Callable[[], None] = lambda: None,
    ) -> list[Episode]:
        """Play evaluation episodes with an agent's mean action, as `record_episode` does.

        Args:
            env: where each episode's start is drawn from; it is reset, but does not play.
            agent: on any device.
            episodes: how many.
            images: the first so many keep their images.
            played: called after each episode.

        Raises:
            VrlprobeError: as `record_episode`; or a process was killed.
        """
        try:
            if not self._players:
                self._start()
            tensors = {
                name: tensor.numpy(force=True)
                for name, tensor in agent.named_tensors().items()
                if name.startswith(("encoder/", "actor/"))
            }
            for player in self._players:
                self._tell(player, tensors)
            return self._shared_out(env, episodes, images, played)
        except BaseException:
            self.close()
            raise

    def _start(self) -> None:
        for _ in range(self.count):
            player, process = start_child(serve)
            self._players[player] = process
            self._tell(player, self.config)

    def _shared_out(
        self, env: PixelEnv, episodes: int, images: int, played: Callable[[], None]
    ) -> list[Episode]:
        """Give each process an episode whenever it is free; the episodes in their order."""
        free, busy = deque(self._players), dict[connection.Connection, int]()
        found: dict[int, Episode] = {}
        for index in range(episodes):
            if not free:
                free.extend(self._collect(busy, found, played))
            player = free.popleft()
            self._tell(player, (env.random_state.get_state(), index < images))
            busy[player] = index
            env.reset()  # draws the same start, and stands before the next
        while busy:
            self._collect(busy, found, played)
        return [found[index] for index in range(episodes)]

    def _collect(
        self,
        busy: dict[connection.Connection, int],
        found: dict[int, Episode],
        played: Callable[[], None],
    ) -> list[connection.Connection]:
        """Take the episodes that have been played, at least one; whoever played them is free."""
        ready = connection.wait(list(busy))
        free = [player for player in busy if player in ready]
        for player in free:
            try:
                answer = player.recv()
            except (EOFError, OSError):
                raise self._ended(player) from None
            if isinstance(answer, Exception):
                raise answer
            found[busy.pop(player)] = answer
            played()
        return free

    def _tell(self, player: connection.Connection, message: object) -> None:
        try:
            player.send(message)
        except OSError:
            raise self._ended(player) from None

    def _ended(self, player: connection.Connection) -> VrlprobeError:
        status = self._players[player].wait()
        why = "was killed, for want of memory perhaps" if status < 0 else f"ended with {status}"
        return VrlprobeError(
            f"a process that plays evaluation episodes {why}; `vrltrain resume` goes on"
        )

    def close(self) -> None:
        """End the processes; they start again when they are needed."""
        for process in self._players.values():
            process.kill()
        for player, process in self._players.items():
            player.close()
            process.wait()
        self._players.clear()


def serve(trainer: connection.Connection) -> None:
    """Play what the training at the other end asks for, until it closes its end."""
    config: TrainConfig = trainer.recv()
    torch.set_num_threads(config.threads)  # their number decides how sums are rounded
    with PixelEnv(**config.env_settings) as env:
        sizes = {**config.stored(), "action_dim": env.n_actions}
        while True:
            request = trainer.recv()
            if isinstance(request, dict):
                agent = DrQV2Agent.from_parameters(sizes, request)
                lay_out(agent)
                continue
            state, keep_images = request
            env.random_state.set_state(state)
            try:
                trainer.send(record_episode(env, agent.act, keep_images=keep_images))
            except VrlprobeError as error:
                trainer.send(error)
