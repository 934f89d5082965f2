"""That large blocks which are freed are kept, and served again without page faults."""
import subprocess
import sys

PROGRAM = '''
import ctypes, resource, sys, threading
from semdepth_ros.nodes.memory_keeping import keep_freed_memory
if sys.argv[1] == 'kept':
    print(keep_freed_memory())
faults = []

def frames():
    for _ in range(12):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        blocks = [bytearray(size << 20) for size in (9, 4, 7)]
        for block in blocks:
            block[::4096] = bytes(len(block) // 4096)
        del block, blocks
        faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)

thread = threading.Thread(target=frames)
thread.start()
thread.join()
print(sorted(faults)[len(faults) // 2])
'''


def page_faults(mode: str) -> int:
    result = subprocess.run([sys.executable, '-c', PROGRAM, mode], capture_output=True, text=True, check=True)
    return int(result.stdout.split()[-1])


def test_a_thread_gets_its_large_blocks_again_without_page_faults():
    assert page_faults('as it is') > 1000
    assert page_faults('kept') < 50
