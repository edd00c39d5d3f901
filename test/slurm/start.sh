#!/bin/sh
# `start.sh FOLDER COUNT` on the login host of cluster.sh: Slurm on node1 to nodeCOUNT, each with CPUS CPUs,
# controlled from there. All that it writes is in FOLDER, and it ends with the hosts.
set -eu
folder=$1 count=$2
enter=$(dirname "$0")/../hosts/enter.sh
export SLURM_CONF="$folder/slurm.conf"

# Who asks is told by a socket, which works from all of them: files are common.
head -c 1024 /dev/urandom >"$folder/munge.key"
chmod 600 "$folder/munge.key"
munged --force --foreground --socket="$folder/munge.socket" --key-file="$folder/munge.key" \
  --pid-file="$folder/munged.pid" --log-file="$folder/munged.log" --seed-file="$folder/munged.seed" &

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

until [ -S "$folder/munge.socket" ]; do sleep 0.05; done
slurmctld -D >"$folder/slurmctld.log" 2>&1 &
for i in $(seq "$count"); do
  mkdir -p "$folder/node$i"
  "$enter" "node$i" env "SLURM_CONF=$SLURM_CONF" slurmd -D -N "node$i" >"$folder/node$i.log" 2>&1 &
done
until [ "$(sinfo --noheader --format=%T 2>"$folder/sinfo.log")" = idle ]; do sleep 0.1; done
