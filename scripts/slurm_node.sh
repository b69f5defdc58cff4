#!/bin/bash
# A Slurm of one node on this machine, to try sweeps on: Debian's packages, no accounting, two partitions.
#
#     sudo scripts/slurm_node.sh --yes            # install, configure, start
#     .venv/bin/python -m pytest tests/e2e/test_slurm.py
#     sudo scripts/slurm_node.sh --stop
#
# WARNING: it installs packages, writes /etc/slurm/slurm.conf and starts daemons as root, and whoever may run
# sbatch here runs jobs as himself. It is meant for a machine (a container, a virtual one) that can be thrown
# away, never for one that belongs to a cluster.
set -euo pipefail

conf=/etc/slurm/slurm.conf
mark='# Written by scripts/slurm_node.sh of namexp.'

fail() {
    echo "slurm_node.sh: $*" >&2
    exit 1
}

runs() {
    [ -f "$1" ] && kill -0 "$(cat "$1")" 2>/dev/null
}

stop() {
    [ -f "$conf" ] && grep -qF "$mark" "$conf" || fail "$conf is not of this script; nothing was stopped"
    local pid
    for pid in /run/slurmd.pid /run/slurmctld.pid /run/munge/munged.pid; do
        if [ -f "$pid" ]; then
            kill "$(cat "$pid")" || true
        fi
    done
}

[ "$(id -u)" = 0 ] || fail "must be run as root"
case "${1:-}" in
--stop)
    stop
    exit
    ;;
--yes) ;;
*)
    sed -n '/^# WARNING/,/^set/p' "$0" | sed '$d; s/^# //' >&2
    fail "say --yes to go on, or --stop to stop what it has started"
    ;;
esac
command -v apt-get >/dev/null || fail "needs a Debian (apt-get is not here)"
if [ -f "$conf" ] && ! grep -qF "$mark" "$conf"; then
    fail "$conf is there, and not of this script: is this a node of a cluster? Nothing was changed"
fi
host=$(hostname -s)
address=$(getent hosts "$host" | awk '{print $1; exit}')
case "$address" in
127.*) ;;
*) fail "$host must resolve to 127.0.0.1 (it is '${address:-nothing}'): echo '127.0.0.1 $host' >> /etc/hosts" ;;
esac

export DEBIAN_FRONTEND=noninteractive
apt-get update
apt-get install -y --no-install-recommends slurm-wlm munge

mkdir -p /etc/slurm /var/lib/slurm/slurmctld /var/lib/slurm/slurmd /var/log/slurm
memory=$(awk '/^MemTotal/ {print int($2 / 1024 * 0.8)}' /proc/meminfo)
cat >"$conf" <<EOF
$mark
ClusterName=test
SlurmctldHost=$host(127.0.0.1)
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SlurmUser=root
SlurmdUser=root
StateSaveLocation=/var/lib/slurm/slurmctld
SlurmdSpoolDir=/var/lib/slurm/slurmd
SlurmctldPidFile=/run/slurmctld.pid
SlurmdPidFile=/run/slurmd.pid
SlurmctldLogFile=/var/log/slurm/slurmctld.log
SlurmdLogFile=/var/log/slurm/slurmd.log
ReturnToService=2
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=3,sched_interval=3
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
JobRequeue=1
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
AuthType=auth/munge
MpiDefault=none
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc) RealMemory=$memory State=UNKNOWN
PartitionName=gpu Nodes=$host Default=YES MaxTime=INFINITE State=UP PriorityTier=1
PartitionName=urgent Nodes=$host MaxTime=INFINITE State=UP PriorityTier=10 PreemptMode=OFF
EOF

if ! munge -n >/dev/null 2>&1; then
    install -d -o munge -g munge -m 0755 /run/munge
    [ -s /etc/munge/munge.key ] || install -o munge -g munge -m 0400 <(head -c 1024 /dev/urandom) /etc/munge/munge.key
    runuser -u munge -- munged
fi
runs /run/slurmctld.pid || slurmctld
runs /run/slurmd.pid || slurmd

for _ in $(seq 30); do
    if sinfo --noheader --format=%t 2>/dev/null | grep -qE '^(idle|mix)'; then
        sinfo
        exit
    fi
    sleep 1
done
fail "the node did not come up in 30 s: see /var/log/slurm/"
