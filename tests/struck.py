"""Source for programs that tests start: a signal strikes in a destructor, which swallows it."""

STRUCK = """
import os, sys

NUMBER = int(sys.argv.pop(1))

class Struck:
    def __del__(self):
        os.kill(os.getpid(), NUMBER)
        for _ in range(1000):
            pass

"""
