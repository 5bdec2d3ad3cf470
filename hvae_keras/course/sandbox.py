"""What a student's process may not do, where the system can say so: Linux's Landlock, seccomp and limits.

A process confines itself for good before it runs anything of a student's. Landlock (Linux 5.13; Salaün, 2021)
leaves it the files it needs to read and one folder to write in; seccomp refuses the system calls by which it
could reach the network, other processes or the system; limits hold its memory and the size of its files. Each
part is used where it exists: `confine` returns the names of those in force, and `PARTS` says what each is for.
"""

import contextlib
import ctypes
import os
import platform
import struct
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path

PARTS = {
    "files": "it reads only Python's own files, and writes only in a folder of its own",
    "calls": "it has no network, starts no processes, and cannot signal or inspect others",
    "memory": "it cannot take more memory than it is given",
}
FILE_BYTES = 256 * 2**20
# Stacks of threads and arenas of the allocator: addresses that are reserved and mostly never used.
RESERVED_BYTES = 4 * 2**30


def confine(folder: str, memory_bytes: int) -> list[str]:
    """Confine this process: write in `folder` only, no network, no other processes, `memory_bytes` more memory.

    Returns the names of the parts in force. What is confined already stays so in threads that it starts.
    """
    parts = [_limit_memory(memory_bytes)]
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(38, 1, 0, 0, 0)  # PR_SET_NO_NEW_PRIVS, without which the kernel accepts no filter
        parts += [_landlock(libc, folder), _seccomp(libc)]
    return [part for part in parts if part]


def environment() -> dict[str, str]:
    """What of our environment a student's process gets: no tokens and passwords that a function could read.

    Names of text are hashed alike in every such process, so that sets of them have one order, run after run.
    """
    kept = ("PATH", "HOME", "LANG", "LC_", "TZ", "TMP", "TEMP", "PYTHON", "VIRTUAL_ENV", "LD_LIBRARY_PATH")
    kept += (
        "HVAE_",
        "KERAS_",
        "TF_",
        "XLA_",
        "CUDA_",
        "OMP_",
        "MPL",
        "SYSTEM",
        "WINDIR",
        "USERPROFILE",
        "APPDATA",
    )
    ours = {name: value for name, value in os.environ.items() if name.upper().startswith(kept)}
    # A process that may start no other would be told so by joblib; told not to try, it works by itself.
    return {**ours, "PYTHONHASHSEED": "0", "JOBLIB_MULTIPROCESSING": "0"}


def _limit_memory(memory_bytes: int) -> str:
    if sys.platform != "linux":
        return ""
    import resource

    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + memory_bytes + RESERVED_BYTES
    for kind, value in (
        (resource.RLIMIT_AS, most),
        (resource.RLIMIT_FSIZE, FILE_BYTES),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(kind)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (value, value))
    return "memory"


# ── files ───────────────────────────────────────────────────────────────────────────────────────────────────

READ, EXECUTE, READ_FOLDER = 1 << 2, 1 << 0, 1 << 3
ACCESSES = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}  # how many kinds of access each version of Landlock knows
CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446


def readable() -> list[str]:
    """The folders and files that Python and its libraries read while they run. The course's are not among them."""
    paths = {sysconfig.get_paths()[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    # Not the prefixes themselves: an environment may have been made in the course's own folder.
    for prefix in (sys.prefix, sys.base_prefix):
        paths |= {f"{prefix}/{name}" for name in ("lib", "lib64", "bin", "share", "pyvenv.cfg")}
    paths |= {str(Path(__file__).resolve().parents[1]), "/usr", "/lib", "/lib64", "/sys"}
    paths |= {f"/etc/{name}" for name in ("ld.so.cache", "localtime", "timezone", "mime.types", "fonts", "passwd")}
    paths |= {f"/dev/{name}" for name in ("null", "zero", "urandom", "random")}
    paths |= {f"/proc/{name}" for name in ("cpuinfo", "meminfo", "stat", "filesystems", str(os.getpid()))}
    return sorted(path for path in paths if os.path.exists(path))


def _landlock(libc: ctypes.CDLL, folder: str) -> str:
    version = libc.syscall(CREATE_RULESET, None, 0, 1)
    if version < 1:
        return ""
    every = (1 << ACCESSES[min(version, 5)]) - 1
    # File accesses; TCP connections (version 4); signals and abstract sockets (version 6).
    attributes = struct.pack("QQQ", every, 3 if version >= 4 else 0, 3 if version >= 6 else 0)
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    ruleset = libc.syscall(CREATE_RULESET, ctypes.c_char_p(attributes), size, 0)
    if ruleset < 0:
        return ""
    try:
        _allow(libc, ruleset, readable(), READ | READ_FOLDER | EXECUTE)
        _allow(libc, ruleset, ["/dev/null"], READ | 1 << 1)
        _allow(libc, ruleset, [folder], every & ~EXECUTE)
        in_force = libc.syscall(RESTRICT_SELF, ruleset, 0) == 0
        return "files" if in_force and version >= 3 else ""  # before, a file outside could still be emptied
    finally:
        os.close(ruleset)


def _allow(libc: ctypes.CDLL, ruleset: int, paths: Iterable[str], access: int) -> None:
    """Add a rule for each path. A file can only be given the accesses that a file has."""
    for path in paths:
        with contextlib.suppress(OSError):
            opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
            try:
                allowed = access if os.path.isdir(path) else access & (READ | EXECUTE | 1 << 1 | 1 << 14)
                rule = struct.pack("=Qi", allowed, opened)
                libc.syscall(ADD_RULE, ruleset, 1, ctypes.c_char_p(rule), 0)
            finally:
                os.close(opened)


# ── system calls ────────────────────────────────────────────────────────────────────────────────────────────

# The numbers of the calls on x86-64 and on 64-bit ARM (None where it has no such call).
REFUSED = {
    # the network, and the ways around a refusal of sockets
    "socket": (41, 198),
    "io_uring_setup": (425, 425),
    # new processes and programs, and leaving the group that is killed as a whole
    "fork": (57, None),
    "vfork": (58, None),
    "execve": (59, 221),
    "execveat": (322, 281),
    "setsid": (112, 157),
    "setpgid": (109, 154),
    "unshare": (272, 97),
    "setns": (308, 268),
    # other processes
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "pidfd_open": (434, 434),
    "pidfd_send_signal": (424, 424),
    "pidfd_getfd": (438, 438),
    "tkill": (200, 130),
    # what Landlock does not watch: owners, modes and times of files, and the limits themselves
    "chmod": (90, None),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "fchmodat2": (452, 452),
    "chown": (92, None),
    "fchown": (93, 55),
    "lchown": (94, None),
    "fchownat": (260, 54),
    "setxattr": (188, 5),
    "lsetxattr": (189, 6),
    "fsetxattr": (190, 7),
    "removexattr": (197, 14),
    "lremovexattr": (198, 15),
    "fremovexattr": (199, 16),
    "utime": (132, None),
    "utimes": (235, None),
    "utimensat": (280, 88),
    "futimesat": (261, None),
    "setrlimit": (160, 164),
    # memory that is counted as nobody's
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "shmget": (29, 194),
    "semget": (64, 190),
    "msgget": (68, 186),
    "mq_open": (240, 180),
    # others' share of the machine, and one's own rank in it
    "setpriority": (141, 140),
    "sched_setaffinity": (203, 122),
    "sched_setscheduler": (144, 119),
    "sched_setparam": (142, 118),
    "sched_setattr": (314, 274),
    "ioprio_set": (251, 30),
    "migrate_pages": (256, 238),
    "move_pages": (279, 239),
    # devices, and what Landlock before its third version does not watch
    "mknod": (133, None),
    "mknodat": (259, 33),
    "truncate": (76, 45),
    "syslog": (103, 116),
    "fanotify_init": (300, 262),
    # the machine, for a grader that runs as root
    "mount": (165, 40),
    "umount2": (166, 39),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsmount": (432, 432),
    "mount_setattr": (442, 442),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "reboot": (169, 142),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "adjtimex": (159, 171),
    "clock_adjtime": (305, 266),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "acct": (163, 89),
    "open_by_handle_at": (304, 265),
    "iopl": (172, None),
    "ioperm": (173, None),
}
# Calls that are refused unless an argument says that they are harmless; see _filter.
ONLY_OWN = {
    "kill": (62, 129),
    "tgkill": (234, 131),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
}
CLONE, CLONE3, PRLIMIT = (56, 220), (435, 435), (302, 261)
ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
CLONE_THREAD = 0x10000
ALLOW, REFUSE, UNKNOWN = 0x7FFF0000, 0x00050001, 0x00050026  # allowed; EPERM; ENOSYS: "use the older call"


def _seccomp(libc: ctypes.CDLL) -> str:
    if platform.machine() not in ARCHITECTURES or sys.maxsize < 2**32:
        return ""
    code = b"".join(_filter(*ARCHITECTURES[platform.machine()]))
    buffer = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(buffer))
    return "calls" if libc.prctl(22, 2, ctypes.c_char_p(program), 0, 0) == 0 else ""


def _filter(column: int, architecture: int) -> list[bytes]:
    """The filter as a program of Linux's packet filter: eight bytes an instruction.

    A jump counts the instructions to skip where the comparison holds, and where it does not.
    """

    def load(offset: int) -> bytes:
        return struct.pack("HBBI", 0x20, 0, 0, offset)

    def if_equal(value: int, then: int, otherwise: int) -> bytes:
        return struct.pack("HBBI", 0x15, then, otherwise, value)

    def answer(value: int) -> bytes:
        return struct.pack("HBBI", 0x06, 0, 0, value)

    number, machine, argument = 0, 4, lambda index: 16 + 8 * index
    program = [load(machine), if_equal(architecture, 1, 0), answer(REFUSE), load(number)]
    if column == 0:  # the second numbering of x86-64, by which every refusal could be gone around
        program += [struct.pack("HBBI", 0x35, 0, 1, 0x40000000), answer(REFUSE)]
    for call in REFUSED.values():
        if call[column] is not None:
            program += [if_equal(call[column], 0, 1), answer(REFUSE)]
    for call in ONLY_OWN.values():
        program += [if_equal(call[column], 0, 4), load(argument(0)), if_equal(os.getpid(), 0, 1)]
        program += [answer(ALLOW), answer(REFUSE)]
    program += [if_equal(CLONE3[column], 0, 1), answer(UNKNOWN)]
    is_thread = struct.pack("HBBI", 0x45, 0, 1, CLONE_THREAD)
    program += [if_equal(CLONE[column], 0, 4), load(argument(0)), is_thread, answer(ALLOW), answer(REFUSE)]
    # Limits may be read: the pointer to new ones must be null, in both its halves.
    program += [if_equal(PRLIMIT[column], 0, 6), load(argument(2)), if_equal(0, 0, 3), load(argument(2) + 4)]
    program += [if_equal(0, 0, 1), answer(ALLOW), answer(REFUSE)]
    return [*program, answer(ALLOW)]
