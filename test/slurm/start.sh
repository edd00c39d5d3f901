#!/bin/sh
# `start.sh FOLDER COUNT` on the login host of cluster.sh: Slurm on node1 to nodeCOUNT, as if each had 8 CPUs,
# controlled from there. All that it writes is in FOLDER, and it ends with the hosts.
set -eu
folder=$1 count=$2
enter=$(dirname "$0")/../hosts/enter.sh
export SLURM_CONF="$folder/slurm.conf"

# It proves who asks, by a socket, which works from all hosts: files are common.
head -c 1024 /dev/urandom >"$folder/munge.key"
chmod 600 "$folder/munge.key"
munged --force --foreground --socket="$folder/munge.socket" --key-file="$folder/munge.key" \
  --pid-file="$folder/munged.pid" --log-file="$folder/munged.log" --seed-file="$folder/munged.seed" \
  >"$folder/munged.out" 2>&1 &

cat >"$SLURM_CONF" <<END
ClusterName=test
SlurmctldHost=login(10.0.0.254)
SlurmUser=root
AuthInfo=socket=$folder/munge.socket
StateSaveLocation=$folder/state
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/%n.pid
SlurmdSpoolDir=$folder/%n
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=2
TmpFS=/dev/shm/tmp
NodeName=node[1-$count] NodeAddr=10.0.0.[1-$count] CPUs=8
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
END
cat >"$folder/cgroup.conf" <<END
CgroupPlugin=cgroup/v1
IgnoreSystemd=yes
END

# Waits, for 20 s at most, until a command succeeds.
await() {
  for _ in $(seq 200); do "$@" && return; sleep 0.1; done
  tail -n 5 "$folder"/*.log "$folder"/*.out >&2
  exit 1
}
is_idle() { [ "$(sinfo --noheader --format=%T 2>"$folder/sinfo.log")" = idle ]; }

await test -S "$folder/munge.socket"
slurmctld -D >"$folder/slurmctld.log" 2>&1 &
for i in $(seq "$count"); do
  mkdir -p "$folder/node$i"
  "$enter" "node$i" env "SLURM_CONF=$SLURM_CONF" slurmd -D -N "node$i" >"$folder/node$i.log" 2>&1 &
done
await is_idle
