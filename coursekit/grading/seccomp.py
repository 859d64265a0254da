"""The system calls that a student's code may not make: a seccomp filter. Linux only.

A list of what is refused, not of what is allowed: NumPy, TensorFlow and the C library use hundreds
of calls, and others with their next version. Refused calls fail with "Operation not permitted".

References
----------
seccomp(2); ``include/uapi/linux/bpf_common.h``; the numbers are those of the kernel's
``asm/unistd.h``.
"""

from __future__ import annotations

import ctypes
import errno
import platform
import struct
from typing import NamedTuple

# Name: number on x86-64, number on 64-bit ARM; None where the call does not exist.
NUMBERS: dict[str, tuple[int | None, int | None]] = {
    "acct": (163, 89),
    "add_key": (248, 217),
    "adjtimex": (159, 171),
    "bpf": (321, 280),
    "chroot": (161, 51),
    "clock_adjtime": (305, 266),
    "clock_settime": (227, 112),
    "clone": (56, 220),
    "clone3": (435, 435),
    "delete_module": (176, 106),
    "fanotify_init": (300, 262),
    "fcntl": (72, 25),
    "finit_module": (313, 273),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fsopen": (430, 430),
    "fspick": (433, 433),
    "init_module": (175, 105),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "io_uring_setup": (425, 425),
    "ioctl": (16, 29),
    "ioperm": (173, None),
    "iopl": (172, None),
    "ioprio_set": (251, 30),
    "kcmp": (312, 272),
    "kexec_file_load": (320, 294),
    "kexec_load": (246, 104),
    "keyctl": (250, 219),
    "kill": (62, 129),
    "lookup_dcookie": (212, 18),
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "migrate_pages": (256, 238),
    "modify_ldt": (154, None),
    "mount": (165, 40),
    "mount_setattr": (442, 442),
    "move_mount": (429, 429),
    "move_pages": (279, 239),
    "msgget": (68, 186),
    "name_to_handle_at": (303, 264),
    "nfsservctl": (180, 42),
    "open_by_handle_at": (304, 265),
    "open_tree": (428, 428),
    "perf_event_open": (298, 241),
    "pidfd_getfd": (438, 438),
    "pidfd_send_signal": (424, 424),
    "pivot_root": (155, 41),
    "prctl": (157, 167),
    "prlimit64": (302, 261),
    "process_madvise": (440, 440),
    "process_mrelease": (448, 448),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "ptrace": (101, 117),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "reboot": (169, 142),
    "request_key": (249, 218),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "sched_setaffinity": (203, 122),
    "sched_setattr": (314, 274),
    "sched_setparam": (142, 118),
    "sched_setscheduler": (144, 119),
    "semget": (64, 190),
    "setdomainname": (171, 162),
    "sethostname": (170, 161),
    "setns": (308, 268),
    "setpriority": (141, 140),
    "settimeofday": (164, 170),
    "shmget": (29, 194),
    "socket": (41, 198),
    "socketpair": (53, 199),
    "swapoff": (168, 225),
    "swapon": (167, 224),
    "syslog": (103, 116),
    "tgkill": (234, 131),
    "tkill": (200, 130),
    "umount2": (166, 39),
    "unshare": (272, 97),
    "uselib": (134, None),
    "userfaultfd": (323, 282),
    "vhangup": (153, 58),
}
# The machine's name: column in NUMBERS, the kernel's number of the architecture.
MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
X32 = 0x40000000  # set in the numbers of calls with 32-bit pointers on x86-64

# Other processes' memory; the machine's set-up; namespaces and mounts; kernel interfaces with a
# history of holes; memory that no limit counts (memfd, System V).
ALWAYS = (
    *("ptrace", "process_vm_readv", "process_vm_writev", "kcmp", "pidfd_getfd", "process_madvise"),
    *("process_mrelease", "migrate_pages", "move_pages", "acct", "adjtimex", "clock_adjtime"),
    *("clock_settime", "settimeofday", "delete_module", "finit_module", "init_module"),
    *("kexec_file_load", "kexec_load", "quotactl", "quotactl_fd", "reboot", "setdomainname"),
    *("sethostname", "swapoff", "swapon", "syslog", "vhangup", "ioperm", "iopl", "modify_ldt"),
    *("chroot", "fsconfig", "fsmount", "fsopen", "fspick", "mount", "mount_setattr"),
    *("move_mount", "open_tree", "pivot_root", "setns", "umount2", "unshare", "uselib"),
    *("name_to_handle_at", "open_by_handle_at", "add_key", "keyctl", "request_key", "bpf"),
    *("fanotify_init", "io_uring_enter", "io_uring_register", "io_uring_setup"),
    *("lookup_dcookie", "nfsservctl", "perf_event_open", "userfaultfd"),
    *("memfd_create", "memfd_secret", "msgget", "semget", "shmget"),
)
# What reaches other processes of the same user; harmless inside a PID namespace.
BEYOND = (
    *("ioprio_set", "sched_setaffinity", "sched_setattr", "sched_setparam"),
    *("sched_setscheduler", "setpriority", "socket"),
)
NEW_NAMESPACES = 0x7E020000
AF_UNIX, SOCK_DGRAM = 1, 2
TIOCSTI, TIOCLINUX, FIOSETOWN, SIOCSPGRP = 0x5412, 0x541C, 0x8901, 0x8902
F_SETOWN, F_SETOWN_EX = 8, 15
PR_SET_DUMPABLE = 4

LOAD, AND, EQUAL, ANY_BIT, AT_LEAST, RETURN = 0x20, 0x54, 0x15, 0x45, 0x35, 0x06
ALLOW, KILL, FAIL = 0x7FFF0000, 0x80000000, 0x00050000
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2


class If(NamedTuple):
    """A condition on one argument of a call, of which the lower 32 bits are looked at."""

    argument: int
    test: str  # "is", "is not" or "has" (any of these bits)
    value: int
    mask: int = 0xFFFFFFFF


class Rule(NamedTuple):
    """A call that fails if all conditions hold."""

    name: str
    conditions: tuple[If, ...] = ()
    error: int = errno.EPERM


def rules(own_processes: bool, own_signals: bool, pid: int) -> list[Rule]:
    """List what is refused.

    Parameters
    ----------
    own_processes : bool
        Whether the process sees only processes of its submission, as in a PID namespace, and no
        files of the host that are sockets.
    own_signals : bool
        Whether something else keeps its signals from other processes.
    pid : int
        Process number of the student's process.
    """
    refused = [Rule(name) for name in ALWAYS]
    refused += [
        # Its flags are in memory, where a filter can't read: the C library then uses `clone`.
        Rule("clone3", error=errno.ENOSYS),
        Rule("clone", (If(0, "has", NEW_NAMESPACES),)),
        Rule("socket", (If(0, "is not", AF_UNIX),)),
        Rule("ioctl", (If(1, "is", TIOCSTI),)),
        Rule("ioctl", (If(1, "is", TIOCLINUX),)),
        # It would hide the memory that it uses.
        Rule("prctl", (If(0, "is", PR_SET_DUMPABLE), If(1, "is not", 1))),
    ]
    if not own_processes:
        refused += [Rule(name) for name in BEYOND]
        # A datagram socket may send to any service of the machine.
        refused.append(Rule("socketpair", (If(1, "is", SOCK_DGRAM, mask=0xF),)))
        refused.append(Rule("prlimit64", (If(0, "is not", 0),)))
    if not own_signals:
        # 0 is its process group, which is its session's: nobody else's.
        refused.append(Rule("kill", (If(0, "is not", 0), If(0, "is not", pid))))
        refused += [
            Rule(name, (If(0, "is not", pid),))
            for name in ("tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo")
        ]
        refused += [Rule("tkill"), Rule("pidfd_send_signal")]
        refused += [Rule("fcntl", (If(1, "is", how),)) for how in (F_SETOWN, F_SETOWN_EX)]
        refused += [Rule("ioctl", (If(1, "is", how),)) for how in (FIOSETOWN, SIOCSPGRP)]
    return refused


def program(refused: list[Rule], machine: str) -> bytes:
    """Translate rules into the kernel's filter language.

    Raises
    ------
    OSError
        If the calls' numbers on this machine are not known here.
    """
    if machine not in MACHINES:
        raise OSError(errno.ENOSYS, f"no list of system calls for {machine}")
    column, architecture = MACHINES[machine]
    code = [step(LOAD, 4), step(EQUAL, architecture, 1, 0), step(RETURN, KILL), step(LOAD, 0)]
    code += [step(AT_LEAST, X32, 0, 1), step(RETURN, FAIL | errno.ENOSYS)]
    for rule in refused:
        number = NUMBERS[rule.name][column]
        if number is not None:
            code += translate(rule, number)
    code.append(step(RETURN, ALLOW))
    return b"".join(code)


def translate(rule: Rule, number: int) -> list[bytes]:
    """Translate one rule; the call's number is loaded before and after."""
    end = [step(RETURN, FAIL | rule.error)]
    if not rule.conditions:
        return [step(EQUAL, number, 0, 1), *end]
    body = end
    for condition in reversed(rule.conditions):
        code = ANY_BIT if condition.test == "has" else EQUAL
        past = len(body)
        jumps = (past, 0) if condition.test == "is not" else (0, past)
        load = [step(LOAD, 16 + 8 * condition.argument), step(AND, condition.mask)]
        body = [*load, step(code, condition.value & 0xFFFFFFFF, *jumps), *body]
    return [step(EQUAL, number, 0, len(body)), *body, step(LOAD, 0)]


def step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    """Give one instruction; the jumps count the instructions that are skipped."""
    return struct.pack("HBBI", code, if_true, if_false, value)


def install(refused: list[Rule]) -> None:
    """Put a filter into force, for this process and all that it starts, for ever.

    Raises
    ------
    OSError
        If the system refuses.
    """
    code = program(refused, platform.machine())
    buffer = ctypes.create_string_buffer(code, len(code))

    class Filter(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("steps", ctypes.c_void_p))

    about = Filter(len(code) // 8, ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    for arguments in (
        (PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
        (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(about), 0, 0),
    ):
        if libc.prctl(*arguments) != 0:
            raise OSError(ctypes.get_errno(), "seccomp")
