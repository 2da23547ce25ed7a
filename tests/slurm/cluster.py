"""A Slurm cluster of two nodes on this machine, for tests: munge, slurmctld and two slurmd, bound to 127.0.0.1, with
all their files in one folder and nothing under /etc. Needs root and Debian's slurmctld slurmd slurm-client munge
(22.05); neither systemd nor cgroups.

    python3 tests/slurm/cluster.py FOLDER    starts one and stops it with Ctrl+C; export SLURM_CONF=FOLDER/slurm.conf
"""

import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

NODES = ("n1", "n2")
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "scontrol", "sinfo", "scancel")

# cred_expire: a requeued job waits for that long. KillWait: less than a frame block may take. SlurmdTimeout: a lost
# node is noticed some time after that. No accounting, no cgroups: memory limits are not enforced.
CONFIGURATION = """\
ClusterName=videos
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket,cred_expire=5
CredType=cred/munge
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SlurmctldPort={port}
SlurmctldPidFile={folder}/slurmctld.pid
SlurmctldLogFile={folder}/slurmctld.log
StateSaveLocation={folder}/state
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmdLogFile={folder}/slurmd-%n.log
SlurmdSpoolDir={folder}/spool-%n
SlurmdParameters=config_overrides
SlurmdTimeout=9
ReturnToService=2
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=2,bf_interval=2
MpiDefault=none
SwitchType=switch/none
MailProg=/bin/true
KillWait=5
MinJobAge=3600
"""
NODE = "NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=1 RealMemory={memory} State=UNKNOWN\n"
PARTITION = "PartitionName=videos Nodes=n[1-2] Default=YES MaxTime=INFINITE State=UP\n"


def why_not():
    """What is missing to start a cluster here, or None."""
    if os.geteuid() != 0:
        return "only root can start a cluster"
    missing = [name for name in PROGRAMS if not shutil.which(name)]
    if missing:
        return f"not installed: {', '.join(missing)}; apt-get install slurmctld slurmd slurm-client munge"
    return None


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


class Cluster:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder).resolve()
        for name in ("munge", "state", "spool-n1", "spool-n2"):
            (self.folder / name).mkdir(parents=True)
        os.environ["SLURM_CONF"] = str(self.folder / "slurm.conf")
        try:
            self._start_munge()
            self._write_configuration()
            self.run("slurmctld")
            for node in NODES:
                self.start_node(node)
            self._wait_for_nodes()
        except BaseException:
            self.stop()
            raise

    def _start_munge(self):
        munge = self.folder / "munge"
        for folder in (self.folder, munge):
            folder.chmod(0o755)
        key = munge / "key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o600)
        self.run("munged", "--force", f"--key-file={key}", f"--socket={munge}/socket", f"--log-file={munge}/log",
                 f"--seed-file={munge}/seed", f"--pid-file={self.folder}/munged.pid")

    def _write_configuration(self):
        host = socket.gethostname().split(".")[0]
        ports = free_ports(1 + len(NODES))
        memory = int(re.search(r"RealMemory=(\d+)", self.run("slurmd", "-C"))[1]) // len(NODES)
        text = CONFIGURATION.format(folder=self.folder, host=host, port=ports[0])
        for name, port in zip(NODES, ports[1:]):
            text += NODE.format(name=name, host=host, port=port, memory=memory)
        (self.folder / "slurm.conf").write_text(text + PARTITION)

    def _wait_for_nodes(self):
        nodes = [str(len(NODES)), "idle"]
        if not wait_until(lambda: self.run("sinfo", "--noheader", "--format=%D %T").split() == nodes, seconds=20):
            raise RuntimeError("the nodes do not come up:\n" + (self.folder / "slurmctld.log").read_text())

    def run(self, *words):
        done = subprocess.run(words, capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(words)}: status {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    def start_node(self, node):
        self.run("slurmd", "-N", node)

    def tasks(self, job):
        """The tasks of a job array: their number, and what Slurm says of each."""
        return {number: facts for facts in self._jobs() if facts["ArrayJobId"] == job
                for number in numbers(facts["ArrayTaskId"])}

    def _jobs(self, *states):
        listed = subprocess.run(["scontrol", "--oneliner", "show", "job"], capture_output=True, text=True).stdout
        jobs = [dict(re.findall(r"(\S+?)=(\S*)", line)) for line in listed.splitlines() if "JobId=" in line]
        return [job for job in jobs if not states or job["JobState"] in states]

    def lose_node(self, node):
        """All of the node's processes end at once, as in a power failure. Slurm is not notified."""
        daemon = int((self.folder / f"slurmd-{node}.pid").read_text())
        jobs = [facts["JobId"] for facts in self._jobs("RUNNING") if facts["NodeList"] == node]
        victims = [daemon]
        for pid, _, title in processes():
            if any(title.startswith(f"slurmstepd: [{job}.") for job in jobs):
                victims += [pid] + descendants(pid)
        for pid in victims:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        return len(victims)

    def stop(self):
        """Ends the jobs, then the programs that were started, each by its own number."""
        subprocess.run(["scancel", "--user=root"], capture_output=True)
        wait_until(lambda: not self._jobs("RUNNING", "COMPLETING"), seconds=15)
        for name in ("slurmd-n1", "slurmd-n2", "slurmctld", "munged"):
            file = self.folder / f"{name}.pid"
            pid = int(file.read_text() or 0) if file.exists() else 0
            if pid and is_running(pid):
                os.kill(pid, signal.SIGTERM)
                wait_until(lambda: not is_running(pid), seconds=10)


def wait_until(condition, seconds):
    """Whether it came true in time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.2)
    return True


def is_running(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def numbers(text):
    """'3' or '2-4,7' or '2-4%2' as numbers."""
    for part in text.split("%")[0].split(","):
        first, _, last = part.partition("-")
        yield from range(int(first), int(last or first) + 1)


def processes():
    """Number, parent's number and command line of every process."""
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            parent = int(re.search(r"^PPid:\s*(\d+)", (folder / "status").read_text(), re.MULTILINE)[1])
            yield int(folder.name), parent, (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except (FileNotFoundError, ProcessLookupError):
            continue


def descendants(pid):
    children = [child for child, parent, _ in processes() if parent == pid]
    return children + [each for child in children for each in descendants(child)]


def main():
    reason = why_not()
    if reason or len(sys.argv) != 2:
        sys.exit(reason or __doc__)
    cluster = Cluster(sys.argv[1])
    try:
        print(f"export SLURM_CONF={cluster.folder}/slurm.conf", flush=True)
        signal.pause()
    except KeyboardInterrupt:
        pass
    finally:
        cluster.stop()


if __name__ == "__main__":
    main()
